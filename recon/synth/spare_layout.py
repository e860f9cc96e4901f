"""The files of the SpaRe stand-in beside its pictures: calibration, splits, depth, and what it says of itself."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from PIL import Image

from recon.datasets.spare import DEPTH_STEP, HEIGHT, INPUT_VIEWS, WIDTH
from recon.scene import Camera
from recon.synth.layout import write_bytes, write_json

TEST_VIEWS = 10
"""Test views per scene, in both tracks."""

FEWEST_VIEWS = INPUT_VIEWS[2] + TEST_VIEWS
"""Below that, a scene of track 2 has too few views."""

_LARGEST = {"development": 6, "test": 9}  # scenes of SpaRe's synthetic half in each split
_TURNS = ("development", "test", "test", "development", "test")  # so that small sets have scenes of both
_SENSOR = 36.0  # millimetres: Blender's default sensor width
_OPENGL_AXES = np.diag([1.0, -1.0, -1.0, 1.0])


def mask_file(folder: Path, scene: str, index: int) -> Path:
    return folder / "masks" / scene / f"{index:03d}.png"


def depth_file(folder: Path, scene: str, index: int) -> Path:
    return folder / "depth" / scene / f"{index:03d}.png"


def write_depth_millimetres(path: Path, depth: Float[ndarray, "H W"]) -> None:
    """Write z-depth in millimetres as 16-bit PNG in steps of 0.02 mm; 0 is unknown, as is all beyond 1310 mm."""
    steps = np.round(np.asarray(depth, np.float64) / DEPTH_STEP)
    steps = np.where(steps <= 65535, steps, 0).astype(np.uint16)
    file = io.BytesIO()
    Image.fromarray(steps).save(file, format="PNG")
    write_bytes(path, file.getvalue())


def write_calibration(folder: Path, cameras: Sequence[Camera]) -> None:
    """Write `pos_NNN.txt` and Blender's form of the same cameras.

    Args:
        cameras: in millimetres, for pictures of 1600x1200.
    """
    place = folder / "synth_calibration"
    for index, camera in enumerate(cameras):
        matrix = camera.matrix @ camera.world_to_camera[:3]
        text = "".join(" ".join(repr(float(value)) for value in row) + "\n" for row in matrix)
        write_bytes(place / f"pos_{index + 1:03d}.txt", text.encode())
    write_json(place / "blender_cameras.json", blender_cameras(cameras))


def blender_cameras(cameras: Sequence[Camera]) -> dict[str, Any]:
    """Return intrinsics and extrinsics as Blender's camera and render settings name them.

    Lengths are millimetres: of `matrix_world` in the scene, of `lens` and `sensor_width` in the camera.
    """
    camera = cameras[0]
    return {
        "unit": "millimetre",
        "resolution_x": WIDTH,
        "resolution_y": HEIGHT,
        "sensor_fit": "HORIZONTAL",
        "sensor_width": _SENSOR,
        "lens": camera.fx * _SENSOR / WIDTH,
        "pixel_aspect_x": 1.0,
        "pixel_aspect_y": camera.fx / camera.fy,
        "shift_x": (WIDTH / 2 - camera.cx) / WIDTH,
        "shift_y": (camera.cy - HEIGHT / 2) / WIDTH * camera.fx / camera.fy,
        "cameras": [
            {"name": f"cam_{index + 1:03d}", "matrix_world": (view.camera_to_world @ _OPENGL_AXES).tolist()}
            for index, view in enumerate(cameras)
        ],
    }


def part_of(number: int) -> str:
    """Return which split a scene belongs to: "development", "test", or "training" once those are full."""
    turns = len(_TURNS)
    part = _TURNS[number % turns]
    before = number // turns * _TURNS.count(part) + _TURNS[: number % turns].count(part)
    return part if before < _LARGEST[part] else "training"


def draw_views(seed: int, number: int, views: int) -> dict[int, tuple[list[int], list[int]]]:
    """Draw (inputs, test views) of a scene for each track, counted from 0.

    The three inputs of track 1 are among the nine of track 2; the test views are drawn for each track by itself.
    """
    random = np.random.default_rng([seed, number, 4])
    nine = random.permutation(views)[: INPUT_VIEWS[2]]
    result = {}
    for track, count in INPUT_VIEWS.items():
        inputs = sorted(int(index) for index in nine[:count])
        others = [index for index in range(views) if index not in inputs]
        tests = sorted(int(index) for index in random.permutation(others)[:TEST_VIEWS])
        result[track] = (inputs, tests)
    return result


def write_splits(folder: Path, scenes: Sequence[str], seed: int, views: int) -> dict[str, list[str]]:
    """Write the four split files; return the scenes of each part."""
    parts: dict[str, list[str]] = {"development": [], "test": [], "training": []}
    for number, scene in enumerate(scenes):
        parts[part_of(number)].append(scene)
    numbers = {scene: number for number, scene in enumerate(scenes)}
    for track in INPUT_VIEWS:
        for part in ("development", "test"):
            content = {}
            for scene in parts[part]:
                inputs, tests = draw_views(seed, numbers[scene], views)[track]
                content[scene] = {"input_views": inputs, "test_views": tests, "dataset": "Synthetic"}
            write_json(folder / f"Track{track}_split_{part}.json", content)
    return parts


def write_readme(
    folder: Path,
    scenes: Sequence[str],
    parts: dict[str, list[str]],
    *,
    seed: int,
    size: tuple[int, int],
    views: int,
    samples: int,
) -> None:
    """Write README.txt: that this is a stand-in, what is in it, and which numbers must not be compared."""
    full = size == (WIDTH, HEIGHT)
    smaller = (
        "The pictures have the size of the protocol."
        if full
        else f"The pictures are {size[0]}x{size[1]}. SpaRe's protocol is {WIDTH}x{HEIGHT} without any scaling:\n"
        "numbers from this set cannot even be compared with numbers from a full-size stand-in."
    )
    counts = f"{len(parts['development'])} development, {len(parts['test'])} test, {len(parts['training'])} in no split"
    text = f"""THIS IS NOT THE SpaRe DATA SET.

It is a procedural stand-in, made by recon {_version()} (`recon synth spare`). No picture, object, mask or camera matrix
comes from SpaRe or DTU. The objects are composed at random from simple shapes and rendered with path tracing;
the cameras are an own rig. Only the folder layout, the file names, the picture counts, the intrinsics and the range of
camera distances follow what is public about SpaRe.

What must not be compared: PSNR, SSIM, LPIPS and their masked forms measured here with any number published for SpaRe,
DTU or the AIM 2024 challenge. Objects, materials, backgrounds, cameras, splits and masks are others. Methods can be
compared with each other on this set, and the whole path from pictures to a submission can be tried.
Where it differs on purpose: the pictures of the test views are here, and so are masks and depth, which SpaRe does not
give; nothing made from them belongs into a submission. A submission to SpaRe cannot be made from this set.
{smaller}

{len(scenes)} scenes (seed {seed}): {counts}.
Views per scene: {views}. Light paths per pixel: {samples}; nothing is denoised, and every picture's noise is in
synth/SCENE.json.

SCENE/cam_NNN_L_0000.png   picture of view NNN - 1 under lighting L; 3 has all lamps on, 0 1 2 4 5 6 one lamp each,
                           from the left to the right. Exposure is the same everywhere.
masks/SCENE/III.png        mask of view III (counted from 0): 255 on the object, 0 elsewhere.
depth/SCENE/III.png        z-depth of view III: 16 bit, one step is {DEPTH_STEP} mm, 0 is unknown (the black box).
synth_calibration/         pos_NNN.txt: 3x4 projection of view NNN - 1 for {WIDTH}x{HEIGHT}, pixel centres at +0.5.
                           World in millimetres, z up, z = 0 on the platform. A smaller picture's camera is this
                           one scaled.
                           blender_cameras.json: the same cameras in Blender's terms.
Track1_split_*.json, Track2_split_*.json   inputs (3 and 9) and 10 test views per scene, counted from 0.
synth.json, synth/         how this was made.
"""
    write_bytes(folder / "README.txt", text.encode())


def _version() -> str:
    import recon

    return recon.__version__
