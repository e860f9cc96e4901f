"""mip-NeRF 360: unbounded captures, 12 or 24 inputs; 1/8 size, or 1/4 with --downscale 4."""

from __future__ import annotations

from collections.abc import Iterator

from recon.benchmark.benchmark import Benchmark, Case, LeftOut
from recon.benchmark.request import Request
from recon.benchmark.scenes import cases_in_layout


def find(request: Request) -> Iterator[Case | LeftOut]:
    """Yield every scene with every number of views; the data set has poses_bounds.npy beside its COLMAP models."""
    dataset = f"mip-NeRF 360 1/{request.downscale or BENCHMARK.rules.downscale:g}"
    return cases_in_layout(
        request, BENCHMARK, dataset, "llff", "colmap", expected="sparse/0/ beside images/ or images_N/"
    )


BENCHMARK = Benchmark(
    name="mip360",
    summary="mip-NeRF 360: unbounded captures, 12 and 24 inputs; 1/8 size, or 1/4 with --downscale 4.",
    data="a mip-NeRF 360 scene (sparse/0/ beside images_8/ or images/), or a folder of such scenes",
    views=(12, 24),
    columns=("psnr", "ssim", "lpips", "average", "seconds"),
    choices=("views", "downscale"),
    find=find,
)
