"""Read a run folder for its report. What is absent stays empty; what is broken becomes a sentence in `problems`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from recon.errors import ReconError
from recon.evaluation.pictures import PictureKind, picture_path, read_picture
from recon.files import read_bytes, read_json
from recon.run_folder import RunFolder

if TYPE_CHECKING:
    from PIL.Image import Image

Split = Literal["train", "test"]

MAX_LOG_BYTES = 512 << 20
"""A larger log is not read: at one line of 150 bytes per iteration this is three million iterations."""


@dataclass(frozen=True)
class Step:
    """One training iteration of the log; None where the line does not say."""

    iteration: int
    loss: float | None
    psnr: float | None
    gaussians: int | None


@dataclass
class Contents:
    """What a run folder holds, as far as the report shows it.

    Attributes:
        path: the run folder.
        config_text: config.yaml as it is written.
        seeds: `metrics.json` of the folders below `seeds/`, for a run repeated with several seeds.
        warnings, notes: sentences about what may be wrong, and about what was done.
        problems: sentences about files that could not be read.
    """

    path: Path
    config: dict[str, Any] = field(default_factory=dict)
    config_text: str = ""
    metrics: dict[str, Any] = field(default_factory=dict)
    cameras: dict[str, Any] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    phases: dict[str, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seeds: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def title(self) -> str:
        """The name of what was reconstructed: the photos' folder, or else the run's."""
        photos = self.config.get("photos")
        name = self.cameras.get("scene") or (Path(photos).name if isinstance(photos, str) else None)
        return str(name or self.path.resolve().name)

    @property
    def poses(self) -> str | None:
        """How far the camera poses are trusted, as `Scene.poses` says it; None when it was not recorded."""
        status = self.cameras.get("poses") or self.metrics.get("poses")
        return str(status) if status is not None else None

    @property
    def frames(self) -> list[dict[str, Any]]:
        frames = self.cameras.get("frames")
        return [frame for frame in frames if isinstance(frame, dict)] if isinstance(frames, list) else []

    def names(self, split: Split) -> list[str]:
        """Return the names of the input or held-out views."""
        if split == "train" and isinstance(self.metrics.get("train"), list):
            return [str(name) for name in self.metrics["train"]]
        if self.per_image(split):
            return list(self.per_image(split))
        listed = self.cameras.get(f"{split}_filenames")
        return [str(name) for name in listed] if isinstance(listed, list) else []

    def measured(self, split: Split) -> dict[str, Any]:
        """Return the split's block of `metrics.json`."""
        block = self.metrics.get("train_views" if split == "train" else "test")
        return block if isinstance(block, dict) else {}

    def per_image(self, split: Split) -> dict[str, dict[str, Any]]:
        block = self.measured(split).get("per_image")
        if not isinstance(block, dict):
            return {}
        return {str(name): values for name, values in block.items() if isinstance(values, dict)}

    def image(self, kind: PictureKind, name: str, suffix: str = "") -> Image | None:
        """Decode the picture of a view; None, and a sentence in `problems`, when that is not possible."""
        path = self.picture(kind, name, suffix)
        if path is None:
            return None
        try:
            return read_picture(path)
        except ReconError as error:
            if str(error) not in self.problems:
                self.problems.append(str(error))
            return None

    def picture(self, kind: PictureKind, name: str, suffix: str = "") -> Path | None:
        """Return the picture of a view when the run folder holds it."""
        path = picture_path(self.path, kind, name, suffix)
        return path if path.is_file() and not path.is_symlink() else None


def read_contents(folder: Path) -> Contents:
    """Read everything of a run folder that the report shows, except for the pictures."""
    run = RunFolder.open(folder)
    contents = Contents(run.path)
    problems = contents.problems
    try:
        contents.config = run.read_config()
        contents.config_text = read_bytes(run.config_file, 1 << 20).decode("utf-8", "replace")
    except ReconError as error:
        problems.append(str(error))
    if run.metrics_file.exists():
        contents.metrics = _mapping(run.metrics_file, problems)
    else:
        problems.append("This run has no metrics.json: it did not finish, so nothing was measured.")
    if run.cameras_file.exists():
        contents.cameras = _mapping(run.cameras_file, problems)
    for kind, sentences in (("warnings", contents.warnings), ("notes", contents.notes)):
        if isinstance(told := contents.metrics.get(kind), list):
            sentences += [str(text) for text in told]
    if run.log_file.exists():
        _read_log(run.log_file, contents)
    for path in sorted((run.path / "seeds").glob("*/metrics.json")):
        if metrics := _mapping(path, problems):
            contents.seeds.append(metrics)
    return contents


def frame_name(frame: dict[str, Any]) -> str:
    """Return the view's name of a frame of `cameras.json`."""
    return str(frame.get("file_path", ""))


def number(value: Any) -> float | None:
    """Return a JSON value as a number, None when it is none."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _mapping(path: Path, problems: list[str]) -> dict[str, Any]:
    try:
        data = read_json(path)
    except ReconError as error:
        problems.append(str(error))
        return {}
    if isinstance(data, dict):
        return data
    problems.append(f"{path} does not hold values by name, so it is not shown.")
    return {}


def _read_log(path: Path, contents: Contents) -> None:
    seen: dict[int, Step] = {}
    told = {"warning": contents.warnings, "note": contents.notes}
    for line in _log_lines(path, contents.problems):
        event = line.get("event")
        if event == "step" and (iteration := number(line.get("iteration"))) is not None:
            count = number(line.get("gaussians"))
            # A resumed run logs the iterations after its checkpoint again; the later line is the one that
            # counts.
            seen[int(iteration)] = Step(
                int(iteration),
                number(line.get("loss")),
                number(line.get("psnr")),
                None if count is None else int(count),
            )
        elif event == "phase" and (seconds := number(line.get("seconds"))) is not None:
            name = str(line.get("name"))
            contents.phases[name] = contents.phases.get(name, 0.0) + seconds
        elif event in told and str(line.get("text")) not in told[event]:
            told[event].append(str(line.get("text")))
    contents.steps = [seen[iteration] for iteration in sorted(seen)]


def _log_lines(path: Path, problems: list[str]) -> Iterator[dict[str, Any]]:
    """Yield the lines that are JSON objects; a run that was killed may have left half of one."""
    try:
        text = read_bytes(path, MAX_LOG_BYTES).decode("utf-8", "replace")
    except ReconError as error:
        problems.append(str(error))
        return
    broken = 0
    for row in text.splitlines():
        try:
            line = json.loads(row, parse_constant=lambda _: None)
        except (ValueError, RecursionError):
            broken += bool(row.strip())
            continue
        if isinstance(line, dict):
            yield line
    if broken:
        problems.append(
            f"log.jsonl: {broken} line{'s' if broken > 1 else ''} could not be read and stay out."
        )
