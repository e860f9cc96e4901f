"""The files of a benchmark folder, beside its runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recon import __version__
from recon.benchmark.plan import Plan, sentences
from recon.benchmark.request import Request
from recon.benchmark.task import RunTask
from recon.config import read_yaml
from recon.errors import ReconError
from recon.files import LOCK_FILE, atomic_write, write_json

REQUEST_FILE = "benchmark.yaml"
FAILURES_FILE = "failures.json"

KEPT = ("protocol", "data", "part", "settings")
"""What every call for one folder must agree in: the run folders' names do not tell it."""


def write_request(request: Request, plan: Plan, source: str) -> None:
    """Write `benchmark.yaml`: what was asked, this time and before, and the runs that follow from it.

    Another call may ask for more methods, seeds, views or scenes; what a folder's runs must have in common cannot
    change.

    Raises:
        ReconError: when the folder holds a benchmark with other settings, or something else.
    """
    import yaml

    path = request.output / REQUEST_FILE
    tasks = plan.tasks
    asked: dict[str, Any] = {
        "version": __version__,
        "protocol": request.protocol,
        "source": source,
        "data": str(request.data.absolute()),
        "part": request.part,
        "settings": list(request.settings),
        "device": request.device,
        "methods": _distinct(task.options.method for task in tasks),
        "presets": _distinct(task.options.preset for task in tasks),
        "views": _distinct(task.views for task in tasks),
        "seeds": _distinct(task.options.seed for task in tasks),
        "datasets": _distinct(task.dataset for task in tasks),
        "scenes": _distinct(task.scene for task in tasks),
        "left_out": sentences(plan.left_out),
        "runs": [relative(task, request.output) for task in tasks],
    }
    if path.is_file():
        asked = _joined(request.output, read_yaml(path), asked)
    elif request.output.is_dir() and any(entry.name != LOCK_FILE for entry in request.output.iterdir()):
        raise ReconError(
            f"{request.output} holds other files; give the benchmark a folder of its own with -o"
        )
    with atomic_write(path, text=True) as file:
        yaml.safe_dump(asked, file, sort_keys=False, allow_unicode=True, width=120)


def write_failures(folder: Path, failures: Mapping[RunTask, str]) -> None:
    """Write `failures.json`: the key of each run that failed, its sentence, and the file with what it printed.

    Without failures there is no such file.
    """
    path = folder / FAILURES_FILE
    if not failures:
        path.unlink(missing_ok=True)
        return
    names = ("protocol", "dataset", "scene", "views", "method", "preset", "seed")
    ordered = sorted(failures.items(), key=lambda item: item[0].key)
    write_json(
        path,
        [
            {**dict(zip(names, task.key, strict=True)), "error": sentence, "run": relative(task, folder)}
            for task, sentence in ordered
        ],
    )


def relative(task: RunTask, folder: Path) -> str:
    """Return a task's run folder as the files of a benchmark folder name it."""
    return task.options.output.relative_to(folder.absolute()).as_posix()


def _joined(folder: Path, before: Any, now: dict[str, Any]) -> dict[str, Any]:
    """Lay what is asked now over what was asked before."""
    if not isinstance(before, dict):
        raise ReconError(
            f"{folder / REQUEST_FILE} does not hold what was asked by name; choose another folder with -o"
        )
    changed = [name for name in KEPT if before.get(name) != now[name]]
    if changed:
        was = ", ".join(f"{name} {before.get(name)}" for name in changed)
        raise ReconError(
            f"{folder} holds a benchmark with {was}, which every run in it shares: choose another folder with -o"
        )
    joined = dict(now)
    for name in ("methods", "presets", "views", "seeds", "datasets", "scenes", "left_out", "runs"):
        earlier = before.get(name)
        joined[name] = _distinct([*(earlier if isinstance(earlier, list) else []), *now[name]])
    return joined


def _distinct(values: Any) -> list[Any]:
    return list(dict.fromkeys(values))
