"""SpaRe: DTU scans and synthetic objects at 1600x1200, track 1 with 3 input views and track 2 with 9."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from recon.benchmark.benchmark import Benchmark, Case, LeftOut
from recon.benchmark.request import Request
from recon.benchmark.scenes import select
from recon.errors import ReconError


def find(request: Request) -> Iterator[Case | LeftOut]:
    """Yield the scenes of the tracks' split files whose test pictures are among the files."""
    from recon.datasets.spare import (
        INPUT_VIEWS,
        picture_name,
        read_spare_split,
        spare_scenes,
        spare_split_files,
    )

    root, own = _root(request.data)
    files = spare_split_files(root)
    part = request.part or _only_part(root, [part for _, part in files])
    pictures = spare_scenes(root)
    tracks = [track for track, inputs in INPUT_VIEWS.items() if inputs in (request.views or BENCHMARK.views)]
    splits = {track: read_spare_split(files[track, part]) for track in tracks if (track, part) in files}
    if not splits:
        wanted = " or ".join(f"Track{track}_split_{part}.json" for track in tracks)
        raise ReconError(f"{root} has no {wanted}: the split files name the input and test views")
    scenes = list(dict.fromkeys(scene for split in splits.values() for scene in split))
    scenes = select(scenes, request.scenes or ((own,) if own else ()), root)
    for track, split in splits.items():
        for scene in scenes:
            if scene not in split:
                continue
            entry = split[scene]
            said = f"{scene} (track {track})"
            present = {path.name for path in pictures[scene].iterdir()} if scene in pictures else set()
            names = [picture_name(view, entry.kind) for view in entry.test_views]
            missing = sum(name not in present for name in names)
            if not present:
                yield LeftOut(said, "it has no pictures among the files")
            elif missing == len(names):
                yield LeftOut(
                    said, "the benchmark hides its test pictures; `recon submit spare` renders them"
                )
            elif missing:
                yield LeftOut(said, f"{missing} of its {len(names)} test pictures are missing")
            else:
                chosen = {
                    "protocol": BENCHMARK.name,
                    "views": INPUT_VIEWS[track],
                    "scene": scene,
                    "track": track,
                    "part": part,
                }
                yield Case(entry.kind, scene, INPUT_VIEWS[track], root, chosen)


def _root(data: Path) -> tuple[Path, str | None]:
    """Return the folder of the split files, and the scene when `data` is a single one's picture folder."""
    from recon.datasets.spare import calibrated_root, spare_split_files

    if spare_split_files(data):
        return data, None
    root = calibrated_root(data)
    if root is not None and spare_split_files(root):
        return root, data.resolve().name
    raise ReconError(f"{data} has no Track*_split_*.json: give {BENCHMARK.data}")


def _only_part(root: Path, parts: list[str]) -> str:
    known = sorted(set(parts))
    if len(known) > 1:
        raise ReconError(f"{root} has the split files of {' and '.join(known)}: say which with --part")
    return known[0]


BENCHMARK = Benchmark(
    name="spare",
    summary="SpaRe: DTU scans and synthetic objects at 1600x1200; 3 inputs are track 1, 9 are track 2.",
    data="a SpaRe folder (Track*_split_*.json, calibration, pictures), or one scene's picture folder in it",
    views=(3, 9),
    columns=("psnr_masked", "psnr", "ssim_masked", "ssim", "lpips_alex_masked", "lpips_alex", "seconds"),
    choices=("views", "part"),
    find=find,
)
