"""SpaRe scenes: pictures per scene, one 3x4 projection matrix per view, and split files per track.

The benchmark counts views from 0 and its files from 1: view 13 is `rect_014_3_r5000.png` and `pos_014.txt`.

Source: Nazarczuk et al. 2024, AIM 2024 Sparse Neural Rendering Challenge: Dataset and Benchmark; the benchmark's site.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from recon.datasets.decode import shown
from recon.datasets.folder import describe_contents, is_picture
from recon.datasets.posed_view import StoredDepth, posed_view, withheld_view
from recon.datasets.projection import camera_from_projection
from recon.datasets.resize import PictureSize
from recon.datasets.split import Listing, Split, SplitRule, own_split, read_object
from recon.errors import ReconError
from recon.scene import Camera, Scene, View

WIDTH, HEIGHT = 1600, 1200
"""The size that the calibration is for and that submissions have."""

DEPTH_STEP = 0.02
"""Millimetres of one step in the 16-bit depth pictures of a stand-in made by `recon synth spare`; SpaRe has none."""

ALL_LIGHTS = 3
"""The lighting with every lamp on, the only one evaluated."""

INPUT_VIEWS = {1: 3, 2: 9}
"""Input views per scene of each track."""


@dataclass(frozen=True)
class SpareEntry:
    """What a split file says about one scene: views are counted from 0.

    Attributes:
        kind: "DTU" or "Synthetic".
    """

    input_views: tuple[int, ...]
    test_views: tuple[int, ...]
    kind: str


def picture_name(index: int, kind: str, light: int = ALL_LIGHTS) -> str:
    """Return the file name of a view, counted from 0: `rect_014_3_r5000.png` for view 13 of a DTU scene."""
    return (
        f"cam_{index + 1:03d}_{light}_0000.png"
        if kind == "Synthetic"
        else f"rect_{index + 1:03d}_{light}_r5000.png"
    )


def view_index(name: str) -> int:
    """Return the view, counted from 0, that a picture's file name stands for."""
    match = re.fullmatch(r"(?:rect|cam)_(\d+)_\d+_(?:r5000|r7000|0000)\.png", name)
    if match is None:
        raise ReconError(
            f"{name} is not a SpaRe picture name such as rect_014_3_r5000.png or cam_014_3_0000.png"
        )
    return int(match[1]) - 1


def read_spare_split(file: Path) -> dict[str, SpareEntry]:
    """Read a `Track*_split_*.json` file.

    Raises:
        ReconError: when it is malformed, or a view is both input and test.
    """
    entries = {}
    for scene, entry in read_object(file).items():
        views: list[Any] = [
            entry.get(key) if isinstance(entry, dict) else None for key in ("input_views", "test_views")
        ]
        if not all(
            isinstance(v, list) and v and all(type(i) is int and 0 <= i < 999 for i in v) for v in views
        ):
            raise ReconError(
                f"{shown(file)}: scene {scene} needs lists of view numbers input_views and test_views"
            )
        kind = entry.get("dataset", "DTU")
        if kind not in ("DTU", "Synthetic"):
            raise ReconError(
                f"{shown(file)}: scene {scene} is of dataset {kind!r}; expected DTU or Synthetic"
            )
        if set(views[0]) & set(views[1]):
            raise ReconError(f"{shown(file)}: scene {scene} has a view that is both input and test")
        entries[scene] = SpareEntry(tuple(views[0]), tuple(views[1]), kind)
    return entries


def spare_split_files(root: Path) -> dict[tuple[int, str], Path]:
    """Return the split files of a SpaRe folder by (track, "development" or "test")."""
    found = {}
    for file in sorted(root.glob("*.json")):
        match = re.fullmatch(r"Track([12])_split_(development|test)\.json", file.name)
        if match:
            found[int(match[1]), match[2]] = file
    return found


def spare_scenes(root: Path) -> dict[str, Path]:
    """Return the picture folder of every scene under a SpaRe folder, wherever its archives were unpacked."""
    return {
        folder.name: folder
        for folder in sorted(path for path in root.rglob("*") if path.is_dir())
        if any(_is_spare_picture(entry) for entry in folder.iterdir())
    }


def spare_cameras(root: Path, scene: str, kind: str) -> dict[int, Camera]:
    """Read pos_NNN.txt by view, counted from 0: the scene's own where there are such, else the data set's.

    Args:
        kind: "DTU" or "Synthetic".

    Raises:
        ReconError: when there is no calibration of this kind, or a file of it is unusable.
    """
    files = [file for file in sorted(root.rglob("pos_*.txt")) if re.fullmatch(r"pos_\d+\.txt", file.name)]
    own = [file for file in files if scene in file.relative_to(root).parts]
    if not own:
        synthetic = [file for file in files if "synth" in str(file.relative_to(root).parent).lower()]
        own = synthetic if kind == "Synthetic" else [file for file in files if file not in set(synthetic)]
    if not own:
        raise ReconError(
            f"{shown(root)} has no {kind} calibration (pos_001.txt, …): it {describe_contents(root)}"
        )
    folder = own[0].parent
    return {int(file.stem.removeprefix("pos_")) - 1: _camera(file) for file in own if file.parent == folder}


def calibrated_root(pictures: Path) -> Path | None:
    """Return the folder, at most two above a scene's pictures, under which the calibration lies."""
    parents = list(pictures.resolve().parents)[:2]
    return next((p for p in parents if any(p.glob("*/pos_001.txt")) or any(p.glob("*/*/pos_001.txt"))), None)


def read_spare(
    folder: Path,
    size: PictureSize | None = None,
    rule: SplitRule = own_split,
    *,
    scene: str | None = None,
    track: int | None = None,
    part: str | None = None,
) -> Scene:
    """Read one SpaRe scene.

    Args:
        folder: the folder that holds split files and calibration, or a scene's picture folder inside it.
        scene: which scene, needed when `folder` holds several.
        track: 1 (3 inputs) or 2 (9 inputs): the split file to follow; None takes the only one that has the scene.
        part: "development" or "test", when both have the scene.

    Returns:
        The scene in the calibration's own units (millimetres for DTU), with test views withheld where the benchmark
        hides their pictures.

    Raises:
        ReconError: when scene, calibration or an input picture is missing.
    """
    root, scene, pictures = _locate(folder, scene)
    entry = _entry(root, scene, track, part)
    present = {view_index(path.name): path for path in sorted(pictures.iterdir()) if _is_spare_picture(path)}
    kind = (
        entry.kind
        if entry
        else ("Synthetic" if any(p.name.startswith("cam_") for p in present.values()) else "DTU")
    )
    cameras = spare_cameras(root, scene, kind)
    names = {index: picture_name(index, kind) for index in cameras}
    own = None
    if entry:
        asked = (*entry.input_views, *entry.test_views)
        absent = sorted(set(asked) - set(cameras))
        if absent:
            raise ReconError(f"scene {scene}: the split asks for views {absent}, which have no pos_NNN.txt")
        own = Split(tuple(names[i] for i in entry.input_views), tuple(names[i] for i in entry.test_views))
    split = rule(Listing(tuple(names.values()), tuple(names), own or Split(tuple(names[i] for i in present))))
    views = []
    for index, name in names.items():
        if index in present:
            views.append(_view(name, present[index], cameras[index], size, root, scene, index))
        elif name in split.test:
            views.append(withheld_view(name, cameras[index], size or PictureSize()))
        elif name in split.train:
            raise ReconError(f"scene {scene}: input picture {name} is not in {shown(pictures)}")
    return Scene(scene, tuple(views), split.train, split.test)


def _is_spare_picture(path: Path) -> bool:
    return (
        is_picture(path)
        and re.fullmatch(rf"(rect|cam)_\d+_{ALL_LIGHTS}_(r5000|0000)\.png", path.name) is not None
    )


def _locate(folder: Path, scene: str | None) -> tuple[Path, str, Path]:
    """Return the SpaRe folder, the scene's name and its picture folder."""
    if any(_is_spare_picture(entry) for entry in folder.iterdir()):
        root = calibrated_root(folder)
        if root is None:
            raise ReconError(f"no calibration (pos_001.txt, …) found in the folders above {shown(folder)}")
        return root, folder.resolve().name, folder
    scenes = spare_scenes(folder)
    if not scenes:
        raise ReconError(
            f"{shown(folder)} has no SpaRe pictures such as rect_014_3_r5000.png: it {describe_contents(folder)}"
        )
    if scene is None:
        if len(scenes) > 1:
            raise ReconError(f"{shown(folder)} holds several scenes; say which: {', '.join(scenes)}")
        scene = next(iter(scenes))
    if scene not in scenes:
        raise ReconError(f"{shown(folder)} has no pictures of scene {scene}; it has {', '.join(scenes)}")
    return folder, scene, scenes[scene]


def _entry(root: Path, scene: str, track: int | None, part: str | None) -> SpareEntry | None:
    """Find the scene in the split files; None when no file has it and none was asked for."""
    if track is not None and track not in INPUT_VIEWS:
        raise ReconError(f"SpaRe has tracks 1 (3 input views) and 2 (9 input views), not {track}")
    found = {}
    for key, file in spare_split_files(root).items():
        if track in (None, key[0]) and part in (None, key[1]):
            entries = read_spare_split(file)
            if scene in entries:
                found[key] = entries[scene]
    if len(found) == 1:
        return next(iter(found.values()))
    if track is None and part is None:
        return None
    if not found:
        raise ReconError(
            f"no Track{track or '*'}_split_{part or '*'}.json in {shown(root)} has scene {scene}"
        )
    raise ReconError(f"scene {scene} is in several split files ({found.keys()}): say which track and part")


def _camera(file: Path) -> Camera:
    try:
        return camera_from_projection(_matrix(file), WIDTH, HEIGHT)
    except ReconError as error:
        raise ReconError(f"{shown(file)}: {error}") from error


def _matrix(file: Path) -> Float[ndarray, "3 4"]:
    try:
        numbers = [float(word) for word in file.read_text().split()]
    except (OSError, ValueError) as error:
        raise ReconError(f"not a text file of numbers ({error})") from error
    if len(numbers) != 12:
        raise ReconError(f"expected the 12 numbers of a 3x4 projection matrix, found {len(numbers)}")
    return np.array(numbers).reshape(3, 4)


def _view(
    name: str,
    path: Path,
    camera: Camera,
    size: PictureSize | None,
    root: Path,
    scene: str,
    index: int,
) -> View:
    """Return a view with masks/scan65/013.png and depth/scan65/013.png for view 13 (both count from 0), if there."""
    mask, depth = (root / kind / scene / f"{index:03d}.png" for kind in ("masks", "depth"))
    return posed_view(
        name,
        path,
        camera,
        size or PictureSize(),
        mask=mask if mask.is_file() else None,
        depth=StoredDepth(depth, DEPTH_STEP) if depth.is_file() else None,
    )
