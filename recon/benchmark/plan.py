"""From a request to the list of reconstructions, and to what has to be left out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from recon.benchmark.benchmark import Benchmark, Case, LeftOut
from recon.benchmark.request import Request
from recon.benchmark.task import RunTask
from recon.errors import ReconError
from recon.methods.options import METHODS, ReconstructOptions


@dataclass(frozen=True)
class Plan:
    """The runs of a request, in the order in which they are best made, and the scenes that cannot be scored."""

    tasks: tuple[RunTask, ...]
    left_out: tuple[LeftOut, ...]


def plan(request: Request, benchmark: Benchmark) -> Plan:
    """Find the scenes, check that each can be scored, and list its runs, seed by seed, for an early first table.

    Raises:
        ReconError: when the request is wrong, or nothing is left to run.
    """
    _check(request)
    found, left_out = benchmark.cases(request)
    cases = []
    for case in found:
        problem = unscorable(case)
        if problem is None:
            cases.append(case)
        else:
            left_out.append(LeftOut(f"{case.scene} ({case.views} views)", problem))
    if not cases:
        raise ReconError(f"nothing of {request.data} can be measured: {'; '.join(sentences(left_out))}")
    tasks = [
        _task(request, benchmark, case, method, seed)
        for seed in range(request.seeds)
        for case in cases
        for method in request.methods
    ]
    _refuse_shared_folders(tasks)
    return Plan(tuple(tasks), tuple(left_out))


def unscorable(case: Case) -> str | None:
    """Say why a case cannot be measured, None when it can; reads the pictures' headers only."""
    from recon.datasets import open_scene, recognise

    try:
        if recognise(case.photos).name == "photos":
            return None  # its poses are estimated first: the run itself says what is wrong
        scene = open_scene(case.photos, **case.chosen)
    except ReconError as error:
        return str(error)
    if not scene.test:
        return "no photo is held out"
    missing = sum(view.withheld for view in scene.test_views)
    if missing:
        return f"{missing} of its {len(scene.test)} test pictures are missing"
    return None


def sentences(left_out: Iterable[LeftOut]) -> list[str]:
    """Return one sentence for each reason, naming its scenes."""
    scenes: dict[str, list[str]] = {}
    for entry in left_out:
        scenes.setdefault(entry.reason, []).append(entry.scene)
    return [f"{', '.join(names)}: {reason}" for reason, names in scenes.items()]


def run_folder(output: Path, case: Case, method: str, preset: str, seed: int) -> Path:
    """Return where a run of a benchmark folder lies."""
    parts = (case.dataset, case.scene, f"{case.views}-views", f"{method}-{preset}", f"seed-{seed}")
    return output.absolute().joinpath("runs", *map(safe_name, parts))


def safe_name(name: str) -> str:
    """Return a folder name for a name: what is no letter, digit, dot, hyphen or underscore becomes one hyphen."""
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "-"


def _check(request: Request) -> None:
    if request.seeds < 1:
        raise ReconError(f"--seeds is the number of seeds, 1 or more, not {request.seeds}")
    if request.workers is not None and request.workers < 1:
        raise ReconError(
            f"--workers is the number of runs at the same time, 1 or more, not {request.workers}"
        )
    if not request.methods:
        raise ReconError(f"--methods names none; there are {', '.join(METHODS)}")
    for method in request.methods:
        if method not in METHODS:
            raise ReconError(f"there is no method {method!r}; there are {', '.join(METHODS)}")


def _task(request: Request, benchmark: Benchmark, case: Case, method: str, seed: int) -> RunTask:
    options = ReconstructOptions(
        photos=case.photos.absolute(),
        output=run_folder(request.output, case, method, request.preset, seed),
        method=method,
        preset=request.preset,
        device=request.device,
        seed=seed,
        settings=request.settings,
        **case.chosen,
    )
    return RunTask(benchmark.name, case.dataset, case.scene, case.views, options)


def _refuse_shared_folders(tasks: list[RunTask]) -> None:
    """Two runs in one folder would take one another's results for their own."""
    owners: dict[Path, RunTask] = {}
    for task in tasks:
        owner = owners.setdefault(task.options.output, task)
        if owner is not task:
            raise ReconError(
                f"{owner.label} and {task.label} would both be written to {task.options.output}: "
                "name a method once, and give the scenes' folders names that differ in letters or digits"
            )
