"""LLFF: forward-facing photos; 1/8 size, or 1/4 with --downscale 4."""

from __future__ import annotations

from collections.abc import Iterator

from recon.benchmark.benchmark import Benchmark, Case, LeftOut
from recon.benchmark.request import Request
from recon.benchmark.scenes import cases_in_layout


def find(request: Request) -> Iterator[Case | LeftOut]:
    """Yield every scene with every number of views."""
    dataset = f"LLFF 1/{request.downscale or BENCHMARK.rules.downscale:g}"
    return cases_in_layout(
        request, BENCHMARK, dataset, "llff", expected="poses_bounds.npy beside images/ or images_N/"
    )


BENCHMARK = Benchmark(
    name="llff",
    summary="LLFF: forward-facing photos, 3 inputs; 1/8 size, or 1/4 with --downscale 4.",
    data="an LLFF scene (poses_bounds.npy beside images_8/ or images/), or a folder of such scenes",
    views=(3,),
    columns=("psnr", "ssim", "lpips", "average", "seconds"),
    choices=("views", "downscale"),
    find=find,
)
