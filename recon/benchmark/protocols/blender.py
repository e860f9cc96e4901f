"""Blender: synthetic objects on white, 8 inputs, 400 pixels."""

from __future__ import annotations

from collections.abc import Iterator

from recon.benchmark.benchmark import Benchmark, Case, LeftOut
from recon.benchmark.request import Request
from recon.benchmark.scenes import cases_in_layout


def find(request: Request) -> Iterator[Case | LeftOut]:
    """Yield every scene with every number of views."""
    return cases_in_layout(
        request, BENCHMARK, "Blender", "blender", expected="transforms_train.json and transforms_test.json"
    )


BENCHMARK = Benchmark(
    name="blender",
    summary="Blender (NeRF's synthetic objects): 8 fixed inputs, every 8th test picture, 400 pixels, white background.",
    data="a Blender scene (transforms_train.json, transforms_test.json), or a folder of such scenes",
    views=(8,),
    columns=("psnr", "ssim", "lpips", "average", "seconds"),
    choices=("views",),
    find=find,
)
