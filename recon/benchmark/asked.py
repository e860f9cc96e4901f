"""What was asked of a benchmark folder, and what of it failed, as its own files say it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from recon.benchmark.folder import FAILURES_FILE, REQUEST_FILE
from recon.benchmark.plan import safe_name
from recon.benchmark.summary import RunName
from recon.config import read_yaml
from recon.errors import ReconError
from recon.files import read_json


@dataclass(frozen=True)
class Asked:
    """What `benchmark.yaml` says.

    Attributes:
        runs: the runs that there should be.
        left_out: sentences about what of the data could not be measured.
    """

    protocol: str
    version: str
    settings: tuple[str, ...]
    runs: tuple[RunName, ...]
    left_out: tuple[str, ...]


def read_asked(folder: Path) -> Asked:
    """Read what was asked of a benchmark folder.

    Raises:
        ReconError: when it is not one, or its file is malformed.
    """
    path = Path(folder) / REQUEST_FILE
    if not path.is_file():
        raise ReconError(
            f"{folder} is not a benchmark folder: it has no {REQUEST_FILE}; `recon benchmark` makes one"
        )
    content = read_yaml(path)
    if not isinstance(content, dict) or not isinstance(content.get("protocol"), str):
        raise ReconError(f"{path} does not say which protocol was asked for; run the benchmark again")
    names = {key: _texts(content, key, path) for key in ("datasets", "scenes", "methods", "presets")}
    return Asked(
        protocol=content["protocol"],
        version=str(content.get("version")),
        settings=tuple(_texts(content, "settings", path)),
        runs=tuple(_run_name(run, names, path) for run in _texts(content, "runs", path)),
        left_out=tuple(_texts(content, "left_out", path)),
    )


def read_failures(folder: Path) -> list[tuple[RunName, str]]:
    """Return the runs of a benchmark folder that failed, each with its sentence.

    Raises:
        ReconError: when the file is malformed.
    """
    path = Path(folder) / FAILURES_FILE
    if not path.is_file():
        return []
    content = read_json(path)
    kinds = {
        "dataset": str,
        "scene": str,
        "views": int,
        "method": str,
        "preset": str,
        "seed": int,
        "error": str,
    }
    failures = []
    for entry in content if isinstance(content, list) else [None]:
        if not isinstance(entry, dict) or any(type(entry.get(k)) is not kind for k, kind in kinds.items()):
            raise ReconError(f"{path} must hold a list of failures with {', '.join(kinds)}")
        dataset, scene, views, method, preset, seed, error = (entry[name] for name in kinds)
        failures.append(((dataset, scene, views, method, preset, seed), error))
    return failures


def _run_name(run: str, names: dict[str, list[str]], path: Path) -> RunName:
    """Find the names that a run folder's path stands for."""
    parts = PurePosixPath(run).parts
    if len(parts) == 6 and parts[0] == "runs":
        _, dataset, scene, views, method, seed = parts
        pairs = {f"{m}-{p}": (m, p) for m in names["methods"] for p in names["presets"]}
        by_folder = {safe_name(folder): pair for folder, pair in pairs.items()}
        views, seed = views.removesuffix("-views"), seed.removeprefix("seed-")
        if views.isdecimal() and seed.isdecimal() and method in by_folder:
            return (
                _named(dataset, names["datasets"]),
                _named(scene, names["scenes"]),
                int(views),
                *by_folder[method],
                int(seed),
            )
    raise ReconError(f"{path}: {run!r} is not a run folder of this benchmark; run the benchmark again")


def _named(folder: str, names: Iterable[str]) -> str:
    return next((name for name in names if safe_name(name) == folder), folder)


def _texts(content: dict[str, Any], key: str, path: Path) -> list[str]:
    values = content.get(key, [])
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ReconError(f"{path}: {key} must be a list of texts; run the benchmark again")
    return values
