"""DTU as pixelNeRF and RegNeRF measure it: 15 scans, fixed inputs, 400x300, metrics on the object."""

from __future__ import annotations

from collections.abc import Iterator

from recon.benchmark.benchmark import Benchmark, Case, LeftOut
from recon.benchmark.request import Request
from recon.benchmark.scenes import cases_in_layout, chosen_scenes, in_layout


def find(request: Request) -> Iterator[Case | LeftOut]:
    """Yield the scans with every number of views, from folders in IDR's layout or from one in SpaRe's."""
    if in_layout("spare")(request.data):
        return _in_spare_layout(request)
    return cases_in_layout(request, BENCHMARK, DATASET, "idr", expected="cameras*.npz beside image/")


def _in_spare_layout(request: Request) -> Iterator[Case | LeftOut]:
    """Yield the scans of a folder that holds all of them and one calibration."""
    from recon.datasets.spare import spare_scenes

    scans = spare_scenes(request.data) or {request.data.resolve().name: request.data}
    scans = {name: folder for name, folder in scans.items() if any(folder.glob("rect_*.png"))}
    names, left_out = chosen_scenes(request, BENCHMARK, scans)
    yield from left_out
    for views in request.views or BENCHMARK.views:
        for name in names:
            chosen = {"protocol": BENCHMARK.name, "views": views, "scene": name}
            yield Case(DATASET, name, views, request.data, chosen)


DATASET = "DTU 1/4"

BENCHMARK = Benchmark(
    name="dtu",
    summary="DTU by RegNeRF's rules: 15 scans, 3, 6 or 9 fixed inputs, 400x300, metrics on the object.",
    data="a scan in IDR's layout (cameras*.npz, image/, mask/), a folder of scans, or a folder in SpaRe's layout",
    views=(3,),
    columns=(
        "psnr_masked",
        "ssim_masked",
        "lpips_masked",
        "average_masked",
        "psnr",
        "ssim",
        "lpips",
        "seconds",
    ),
    choices=("views",),
    find=find,
)
