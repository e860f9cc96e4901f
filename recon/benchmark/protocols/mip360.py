"""mip-NeRF 360: unbounded captures, 12 or 24 inputs; 1/8 size, or 1/4 with --downscale 4."""

from __future__ import annotations

from collections.abc import Iterator

from recon.benchmark.benchmark import Benchmark, Case
from recon.benchmark.request import Request
from recon.benchmark.scenes import in_layout, scene_folders


def find(request: Request) -> Iterator[Case]:
    """Yield every scene with every number of views."""
    factor = request.downscale or BENCHMARK.rules.downscale
    scenes = scene_folders(
        request.data,
        request.scenes,
        in_layout("colmap", "llff"),
        "a COLMAP model in sparse/0/ beside images_8/",
    )
    for views in request.views or BENCHMARK.views:
        for name, folder in scenes.items():
            chosen = {"protocol": BENCHMARK.name, "views": views, "downscale": request.downscale}
            yield Case(f"mip-NeRF 360 1/{factor:g}", name, views, folder, chosen)


BENCHMARK = Benchmark(
    name="mip360",
    summary="mip-NeRF 360: unbounded captures, 12 and 24 inputs; 1/8 size, or 1/4 with --downscale 4.",
    data="a mip-NeRF 360 scene (sparse/0/ beside images_8/ or images/), or a folder of such scenes",
    views=(12, 24),
    columns=("psnr", "ssim", "lpips", "average", "seconds"),
    choices=("views", "downscale"),
    find=find,
)
