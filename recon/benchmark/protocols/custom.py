"""Custom: anybody's scene folders, each with a split.json that names its inputs and its held-out photos."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from recon.benchmark.benchmark import Benchmark, Case, LeftOut
from recon.benchmark.request import Request
from recon.benchmark.scenes import chosen_scenes, scene_folders
from recon.errors import ReconError

SPLIT_FILE = "split.json"


def find(request: Request) -> Iterator[Case | LeftOut]:
    """Yield every folder with a split file once, with as many views as the file names."""
    scenes = scene_folders(
        request.data, lambda folder: (folder / SPLIT_FILE).is_file(), f"photos and a {SPLIT_FILE}"
    )
    names, _ = chosen_scenes(request, BENCHMARK, scenes)
    for name in names:
        try:
            yield _case(request, name, scenes[name])
        except ReconError as error:
            yield LeftOut(name, str(error))


def _case(request: Request, name: str, folder: Path) -> Case:
    from recon.datasets import recognise
    from recon.datasets.split import read_object, split_from_file

    split = folder / SPLIT_FILE
    split_from_file(split)  # refuses a malformed file
    stated = read_object(split)
    if not stated.get("test"):
        raise ReconError(f"its {SPLIT_FILE} holds no photo out, so there is nothing to measure on")
    chosen: dict[str, object] = {"split": split.absolute()}
    if recognise(folder).name == "photos":
        if request.downscale is not None:
            raise ReconError("its photos have no cameras, so --downscale does not apply: leave it out")
    else:
        # Without a size of its own a run would take the preset's, and presets could not be compared.
        chosen["downscale"] = request.downscale or 1.0
    return Case(request.data.resolve().name, name, len(stated["train"]), folder, chosen)


BENCHMARK = Benchmark(
    name="custom",
    summary="Your own scenes: folders in any layout that recon reads, each with a split.json.",
    data='a scene folder with a split.json {"train": [names], "test": [names]}, or a folder of such scenes',
    views=(),
    columns=("psnr", "ssim", "lpips", "psnr_masked", "seconds"),
    choices=("downscale",),
    find=find,
)
