"""Blender: synthetic objects on white, 8 inputs, 400 pixels."""

from __future__ import annotations

from collections.abc import Iterator

from recon.benchmark.benchmark import Benchmark, Case
from recon.benchmark.request import Request
from recon.benchmark.scenes import in_layout, scene_folders


def find(request: Request) -> Iterator[Case]:
    """Yield every scene with every number of views."""
    scenes = scene_folders(
        request.data, request.scenes, in_layout("blender"), "transforms_train.json and transforms_test.json"
    )
    for views in request.views or BENCHMARK.views:
        for name, folder in scenes.items():
            yield Case("Blender", name, views, folder, {"protocol": BENCHMARK.name, "views": views})


BENCHMARK = Benchmark(
    name="blender",
    summary="Blender (NeRF's synthetic objects): 8 fixed inputs, every 8th test picture, 400 pixels, white background.",
    data="a Blender scene (transforms_train.json, transforms_test.json), or a folder of such scenes",
    views=(8,),
    columns=("psnr", "ssim", "lpips", "average", "seconds"),
    choices=("views",),
    find=find,
)
