"""SpaRe: DTU scans and synthetic objects at 1600x1200, track 1 with 3 input views and track 2 with 9."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from recon.benchmark.benchmark import Benchmark, Case, LeftOut
from recon.benchmark.request import Request
from recon.benchmark.scenes import chosen_scenes
from recon.errors import ReconError

if TYPE_CHECKING:
    from recon.datasets.spare import SpareEntry


def find(request: Request) -> Iterator[Case | LeftOut]:
    """Yield the scenes of the tracks' split files whose test pictures are among the files."""
    from recon.datasets.spare import INPUT_VIEWS, read_spare_split, spare_scenes, spare_split_files

    root, own = _root(request.data)
    files = spare_split_files(root)
    part = request.part or _only_part(root, [part for _, part in files])
    pictures = spare_scenes(root)
    tracks = [track for track, inputs in INPUT_VIEWS.items() if inputs in (request.views or BENCHMARK.views)]
    splits = {track: read_spare_split(files[track, part]) for track in tracks if (track, part) in files}
    absent = [f"Track{track}_split_{part}.json" for track in tracks if track not in splits]
    if absent and (request.views or not splits):
        raise ReconError(
            f"{root} has no {' and no '.join(absent)}: the split files name the input and test views"
        )
    known = list(dict.fromkeys(scene for split in splits.values() for scene in split))
    if own is not None and own not in known:
        raise ReconError(f"{request.data}: the split files in {root} do not name scene {own}")
    scenes, _ = chosen_scenes(request, BENCHMARK, known if own is None else [own])
    for track, split in splits.items():
        for scene in scenes:
            if scene in split:
                yield _case(root, scene, track, part, split[scene], pictures.get(scene))


def _case(
    root: Path, scene: str, track: int, part: str, entry: SpareEntry, pictures: Path | None
) -> Case | LeftOut:
    """Return a scene of a track, unless its test pictures are not there to compare with."""
    from recon.datasets.spare import INPUT_VIEWS, picture_name

    said = f"{scene} (track {track})"
    if pictures is None:
        return LeftOut(said, "it has no pictures among the files")
    present = {path.name for path in pictures.iterdir()}
    missing = [view for view in entry.test_views if picture_name(view, entry.kind) not in present]
    if len(missing) == len(entry.test_views):
        return LeftOut(said, "the benchmark hides its test pictures; `recon submit spare` renders them")
    if missing:
        return LeftOut(said, f"{len(missing)} of its {len(entry.test_views)} test pictures are missing")
    views = INPUT_VIEWS[track]
    chosen = {"protocol": BENCHMARK.name, "views": views, "scene": scene, "track": track, "part": part}
    dataset = f"{entry.kind} stand-in" if _is_stand_in(root) else entry.kind
    return Case(dataset, scene, views, root, chosen)


def _is_stand_in(root: Path) -> bool:
    """Return whether `recon synth spare` drew these scenes: their numbers are not those of the benchmark's."""
    from recon.files import read_json

    made = root / "synth.json"
    content = read_json(made) if made.is_file() else None
    return isinstance(content, dict) and content.get("made_by") == "recon synth spare"


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
