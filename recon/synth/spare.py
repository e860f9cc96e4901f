"""An open stand-in for SpaRe's synthetic half: procedural objects in SpaRe's folder layout, with depth and masks.

SpaRe hides the pictures of its test views and names no masks among its files. A set made here has everything, for the
whole path from pictures to tables, and as training data for priors. It is no part of SpaRe: other objects, another
renderer, other camera poses.
"""

import dataclasses
import json
import os
import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import recon
from recon.datasets.spare import ALL_LIGHTS, HEIGHT, WIDTH, picture_name
from recon.errors import ReconError
from recon.scene import Camera
from recon.synth.layout import write_json, write_mask, write_photo
from recon.synth.object_scenes import family_of, object_scene, object_seed
from recon.synth.recipe import Cameras, Environment, Placed, Recipe
from recon.synth.rigs import Positions
from recon.synth.spare_layout import (
    FEWEST_VIEWS,
    depth_file,
    mask_file,
    write_calibration,
    write_depth_millimetres,
    write_readme,
    write_splits,
)
from recon.synth.spare_rig import BOX, LIGHTINGS, in_millimetres, lamps, spare_cameras, stage

Progress = Callable[[int, int, str], None]

# Light paths per pixel. They come in two halves, and a half that is a multiple of the six lamps samples all alike.
SAMPLES = 24


@dataclass(frozen=True)
class StandIn:
    """What `generate_spare` has made.

    Attributes:
        folder: where it is.
        scenes: names of all its scenes.
        pictures: how many pictures the folder now holds.
        rendered: how many of them this call rendered.
        noise: mean standard deviation of the pictures' noise, in sRGB units of [0, 1].
    """

    folder: Path
    scenes: tuple[str, ...]
    pictures: int
    rendered: int
    noise: float


def generate_spare(
    output: str | Path,
    *,
    scenes: int = 24,
    seed: int = 0,
    views: int = 49,
    size: tuple[int, int] = (WIDTH, HEIGHT),
    lightings: Sequence[int] = (ALL_LIGHTS,),
    samples: int = SAMPLES,
    workers: int | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> StandIn:
    """Render a stand-in for SpaRe's synthetic half.

    The folder gets `SCENE/cam_NNN_L_0000.png`, `masks/SCENE/III.png`, `depth/SCENE/III.png` (16 bit, in steps of 0.02
    mm), `synth_calibration/` (in millimetres, for 1600x1200), the split files of both tracks, `synth.json`, and a
    `README.txt` that says what it is. The same arguments give the same pixels for any number of workers. A call that
    was interrupted continues where it stopped; a later call may ask for more scenes or lightings of the same set.

    Args:
        scenes: how many objects. Scenes are independent of how many there are.
        seed: other objects, textures and splits; the cameras stay.
        views: cameras per scene, at least 19: 9 inputs and 10 test views.
        size: (width, height) of the pictures, of the shape 4:3; the calibration stays that of 1600x1200.
        lightings: which of the seven, 0 to 6; 3 has all lamps on and is the only one that SpaRe evaluates.
        samples: light paths per pixel.
        workers: processes; by default as many as there are cores, but no more than scenes.
        overwrite: replace what other settings have made in this folder.
        progress: called with (done, total, name) after every picture.

    Raises:
        ReconError: when an argument makes no sense, mitsuba is missing, or the folder holds something else.
    """
    lightings = tuple(sorted(set(lightings)))
    _check(scenes, seed, views, size, lightings, samples, workers)
    folder = Path(output)
    about = {
        "made_by": "recon synth spare",
        "seed": seed,
        "size": list(size),
        "views": views,
        "samples": samples,
        "version": recon.__version__,
    }
    _open(folder, about, overwrite)
    jobs = [_Job(folder, seed, number, views, size, lightings, samples) for number in range(scenes)]
    names = tuple(job.scene for job in jobs)
    write_json(folder / "synth.json", {**about, "scenes": list(names)})
    cameras = [in_millimetres(camera) for camera in spare_cameras(views)]
    write_calibration(folder, cameras)
    splits = write_splits(folder, names, seed, views)
    write_readme(folder, names, splits, seed=seed, size=size, views=views, samples=samples)
    total = scenes * views * len(lightings)
    rendered = _run(jobs, workers, total, progress)
    records = [_read_record(job) for job in jobs]
    noise = [entry["noise"] for record in records for entry in record["pictures"].values()]
    return StandIn(folder, names, len(noise), rendered, float(np.mean(noise)))


@dataclass(frozen=True)
class _Job:
    """All pictures of one scene."""

    folder: Path
    seed: int
    number: int
    views: int
    size: tuple[int, int]
    lightings: tuple[int, ...]
    samples: int

    @property
    def scene(self) -> str:
        return scene_name(self.seed, self.number)

    @property
    def record(self) -> Path:
        return self.folder / "synth" / f"{self.scene}.json"


def read_size(text: str) -> tuple[int, int]:
    """Read a picture size such as 800x600.

    Raises:
        ReconError: when it is none.
    """
    match = re.fullmatch(r"([0-9]{1,5})[xX×]([0-9]{1,5})", text.strip())
    if match is None:
        raise ReconError(f"a size is width x height, such as 800x600; got {text!r}")
    return int(match[1]), int(match[2])


def scene_name(seed: int, number: int) -> str:
    """Return a scene's name, such as `standin007_toy_car`: its number and the family of its object."""
    return f"standin{number:03d}_{family_of(seed, number)}"


def scene_recipe(seed: int, number: int, size: tuple[int, int] = (WIDTH, HEIGHT)) -> Recipe:
    """Return one scene of the set as a recipe, under all lamps."""
    made = object_scene(seed, number)
    coarser = WIDTH / size[0]  # textures keep a fixed number of texels per pixel
    texel = min(0.0003 * coarser, 0.01)
    parts = tuple(dataclasses.replace(part, texel=texel) for part in made.parts)
    around: tuple[Placed, ...] = tuple(
        dataclasses.replace(placed, texel=min(placed.texel * coarser, 0.05)) for placed in stage()
    )
    positions = tuple((float(x), float(y), float(z)) for x, y, z in (c.center for c in spare_cameras()))
    return Recipe(
        name=scene_name(seed, number),
        objects=(*around, *parts),
        cameras=Cameras(Positions(positions)),
        seed=object_seed(seed, number),
        size=size,
        environment=Environment("dark"),
        lights=lamps(ALL_LIGHTS),
        bounces=4,
    )


def _render(job: _Job, tell: Callable[[str], None]) -> int:
    """Render what is missing of a scene and return how many pictures that were."""
    cameras = [camera.resized(*job.size) for camera in spare_cameras(job.views)]
    record = _read_record(job)
    done, rendered = record["pictures"], 0
    renderer: Any = None
    for index, camera in enumerate(cameras):
        names = {light: picture_name(index, "Synthetic", light) for light in job.lightings}
        missing = {
            light: name
            for light, name in names.items()
            if name not in done or not (job.folder / job.scene / name).exists()
        }
        truth_missing = not (
            depth_file(job.folder, job.scene, index).exists()
            and mask_file(job.folder, job.scene, index).exists()
        )
        if (missing or truth_missing) and renderer is None:
            renderer = _renderers(job)
        if truth_missing:
            _write_truth(job, index, renderer[ALL_LIGHTS], camera)
        for light, name in names.items():
            if light in missing:
                light_seed = zlib.crc32(f"{job.seed} {job.scene} {name}".encode()) >> 2
                photo = renderer[light].photo(camera, samples=job.samples, seed=light_seed)
                write_photo(job.folder / job.scene / name, photo.image, camera)
                done[name] = {"noise": round(photo.noise, 5)}
                write_json(job.record, record)
                rendered += 1
            tell(f"{job.scene}/{name}")
    return rendered


def _renderers(job: _Job) -> dict[int, Any]:
    from recon.synth.render import Renderer

    first = Renderer(scene_recipe(job.seed, job.number, job.size))
    return {light: first.relit(lamps(light)) for light in {*job.lightings, ALL_LIGHTS}}


def _write_truth(job: _Job, index: int, renderer: Any, camera: Camera) -> None:
    from recon.synth.render import in_front

    truth = renderer.truth(camera)
    walls = renderer.depth(camera, [p.name for p in renderer.recipe.objects if p.name.startswith(BOX)])
    depth = np.where(in_front(truth.depth, walls), 1000.0 * truth.depth, 0.0)
    write_depth_millimetres(depth_file(job.folder, job.scene, index), depth)
    write_mask(mask_file(job.folder, job.scene, index), truth.mask)


def _read_record(job: _Job) -> dict[str, Any]:
    """Return what is known of a scene's finished pictures."""
    try:
        record = json.loads(job.record.read_text())
        if isinstance(record["pictures"], dict):
            return record
    except (OSError, ValueError, KeyError, TypeError):
        pass
    made = object_scene(job.seed, job.number)
    extent = [round(1000 * length, 1) for length in made.extent]
    return {"family": made.family, "extent_mm": extent, "pictures": {}}


def _run(jobs: list[_Job], workers: int | None, total: int, progress: Progress | None) -> int:
    done = 0

    def tell(name: str) -> None:
        nonlocal done
        done += 1
        if progress:
            progress(done, total, name)

    workers = min(workers or _cores(), len(jobs))
    if workers == 1:
        return sum(_render(job, tell) for job in jobs)
    from recon.synth.scene_pool import run_in_processes

    return run_in_processes(_render, jobs, workers, max(1, _cores() // workers), tell)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _check(
    scenes: int,
    seed: int,
    views: int,
    size: tuple[int, int],
    lightings: tuple[int, ...],
    samples: int,
    workers: int | None,
) -> None:
    def require(condition: bool, sentence: str) -> None:
        if not condition:
            raise ReconError(sentence)

    require(1 <= scenes <= 999, f"scenes must be 1 to 999, got {scenes}")
    require(seed >= 0, f"the seed must not be negative, got {seed}")
    require(
        FEWEST_VIEWS <= views <= 998,
        f"views must be {FEWEST_VIEWS} (9 inputs and 10 test views) to 998, got {views}",
    )
    width, height = size
    require(
        width * HEIGHT == height * WIDTH and 32 <= width <= 4 * WIDTH,
        f"size must have the shape of {WIDTH}x{HEIGHT} (such as 800x600 or 400x300), got {width}x{height}",
    )
    require(
        bool(lightings) and all(0 <= light < LIGHTINGS for light in lightings),
        f"lightings are 0 to {LIGHTINGS - 1} ({ALL_LIGHTS} has all lamps on), got {list(lightings)}",
    )
    require(samples >= 2, f"a picture needs at least 2 samples per pixel, got {samples}")
    require(workers is None or workers >= 1, f"workers must be 1 or more, got {workers}")


def _open(folder: Path, about: dict[str, Any], overwrite: bool) -> None:
    """Make the folder, or find in it a set of the same settings."""
    record = folder / "synth.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        found = json.loads(record.read_text()) if record.exists() else None
        occupied = found is None and any(folder.iterdir())
    except (OSError, ValueError) as error:
        raise ReconError(f"cannot use the output folder {folder}: {error}") from error
    if not os.access(folder, os.W_OK):
        raise ReconError(f"cannot write to the output folder {folder}; choose another one")
    if isinstance(found, dict) and {key: found.get(key) for key in about} == about:
        return
    if found is None and not occupied:
        return
    if not overwrite:
        what = "other files"
        if isinstance(found, dict):
            differing = ", ".join(key for key in about if found.get(key) != about[key])
            what = f"something made with other settings ({differing})"
        raise ReconError(
            f"the output folder {folder} holds {what}; choose another folder or pass overwrite to replace it"
        )
    for file in (folder / "synth").glob("*.json"):  # pictures without a record are rendered anew
        file.unlink()
