"""What SpaRe asks of a submission: which scenes, which pictures, under which names.

A submission is a zip with one folder per scene at its root. A folder holds one 1600x1200 RGB PNG per test view, named
with the file number (view index + 1) and light 3. The DTU half and the Synthetic half are scored separately; a
submission may hold either or both.

Source: Nazarczuk et al. 2024, AIM 2024 Sparse Neural Rendering Challenge; the benchmark's site.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from recon.datasets.decode import shown
from recon.datasets.spare import (
    HEIGHT,
    WIDTH,
    SpareEntry,
    picture_name,
    read_spare,
    read_spare_split,
    spare_cameras,
    spare_scenes,
    spare_split_files,
)
from recon.errors import ReconError

SIZE = (WIDTH, HEIGHT)
"""Width and height of every submitted picture."""

HALVES = ("DTU", "Synthetic")
"""Scored separately; in the names that the split files use."""

README = "readme.txt"


@dataclass(frozen=True)
class AskedScene:
    """One scene of a split; views are counted from 0."""

    name: str
    half: str
    input_views: tuple[int, ...]
    test_views: tuple[int, ...]

    @property
    def pictures(self) -> tuple[str, ...]:
        """File names that a submission holds in this scene's folder."""
        return tuple(picture_name(view, self.half) for view in self.test_views)

    @property
    def numbers(self) -> frozenset[int]:
        """File numbers of the test views."""
        return frozenset(view + 1 for view in self.test_views)


@dataclass(frozen=True)
class Asked:
    """What a track's split asks for.

    Attributes:
        folder: SpaRe folder with split files, calibration and pictures.
        scenes: by name, in the split file's order; only the chosen ones where some were chosen.
        chosen: whether `scenes` was chosen by a person, so that what is not in it is not missed.
    """

    folder: Path
    track: int
    split: str
    scenes: dict[str, AskedScene]
    chosen: bool = False

    def __str__(self) -> str:
        return f"SpaRe track {self.track}, {self.split}"

    def of_half(self, half: str) -> list[AskedScene]:
        return [scene for scene in self.scenes.values() if scene.half == half]

    @cached_property
    def known_scenes(self) -> dict[str, tuple[tuple[int, str], ...]]:
        """Tracks and splits of every scene that any split file here names."""
        known: dict[str, tuple[tuple[int, str], ...]] = {}
        for key, file in spare_split_files(self.folder).items():
            with suppress(ReconError):  # a broken file of another split is no fault of the zip
                for name in read_spare_split(file):
                    known[name] = (*known.get(name, ()), key)
        return known


def asked(data: Path, track: int, split: str, scenes: Sequence[str] = ()) -> Asked:
    """Read what a split asks for.

    Args:
        data: SpaRe folder with Track*_split_*.json.
        scenes: only these; all of the split by default.

    Raises:
        ReconError: when the split file is missing or malformed, does not have a chosen scene, or asks for views that
            the calibration does not have.
    """
    data = Path(data)
    if not data.is_dir():
        raise ReconError(f"{shown(data)} is not a folder: give the SpaRe folder that holds the split files")
    files = spare_split_files(data)
    if (track, split) not in files:
        found = ", ".join(file.name for file in files.values()) or "no split file at all"
        raise ReconError(
            f"{shown(data)} has no Track{track}_split_{split}.json but {found}: "
            "put the benchmark's split file there, or choose another --track or --split"
        )
    entries = read_spare_split(files[track, split])
    unknown = [name for name in scenes if name not in entries]
    if unknown:
        raise ReconError(
            f"{files[track, split].name} has no scene {', '.join(unknown)}; it has {', '.join(entries)}"
        )
    wanted = {
        name: _asked_scene(name, entry) for name, entry in entries.items() if name in (scenes or entries)
    }
    return Asked(data.absolute(), track, split, wanted, chosen=bool(scenes))


def uncalibrated(asked: Asked, halves: Sequence[str] = HALVES) -> list[str]:
    """Say of which of these halves the calibration is absent, so that their views cannot be checked against it.

    Raises:
        ReconError: when there is calibration, but not for a view that the split asks for.
    """
    absent = []
    for half in halves:
        for scene in asked.of_half(half):
            try:
                cameras = spare_cameras(asked.folder, scene.name, half)
            except ReconError as error:
                absent.append(str(error))
                break
            lacking = sorted(set(scene.test_views) - set(cameras))
            if lacking:
                raise ReconError(
                    f"scene {scene.name}: the split asks for views {lacking}, which have no pos_NNN.txt: "
                    "take split and calibration from the same benchmark"
                )
    return absent


def lacking_inputs(asked: Asked) -> dict[str, str]:
    """Return a sentence for every scene whose input pictures or calibration are not in the folder."""
    return {name: problem for name in asked.scenes if (problem := _problem(asked, name)) is not None}


def scene_pictures(asked: Asked) -> dict[str, Path]:
    """Return the folder of pictures of every scene that has one."""
    return {name: folder for name, folder in spare_scenes(asked.folder).items() if name in asked.scenes}


def _asked_scene(name: str, entry: SpareEntry) -> AskedScene:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 ._+-]*", name):
        raise ReconError(f"the split file names a scene {name!r}, which cannot be the name of a folder")
    return AskedScene(name, entry.kind, entry.input_views, entry.test_views)


def _problem(asked: Asked, name: str) -> str | None:
    try:
        read_spare(asked.folder, scene=name, track=asked.track, part=asked.split)
    except ReconError as error:
        return str(error)
    return None
