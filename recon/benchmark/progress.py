"""Showing how a benchmark goes: a live bar on a terminal, one line per finished run elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from recon.benchmark.record import Record
from recon.benchmark.task import RunTask

ShowRun = Callable[[RunTask, "Record | None", "str | None"], None]
"""Called with each task when it is over, its record, and a sentence when it failed."""


@contextmanager
def shown_runs(total: int) -> Iterator[ShowRun]:
    """Yield a callback that tells of each finished run and how long the others may take.

    Args:
        total: number of runs to come.
    """
    started = time.monotonic()
    if not sys.stderr.isatty():
        done = 0

        def line(task: RunTask, record: Record | None, error: str | None) -> None:
            nonlocal done
            done += 1
            left = remaining(time.monotonic() - started, done, total)
            print(f"[{done}/{total}] {_outcome(task, record, error)}{left}", file=sys.stderr, flush=True)

        yield line
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    # Scene names may hold what rich takes for markup.
    console = Console(stderr=True, markup=False)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}", markup=False),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        shown = bar.add_task("runs", total=total, left="")

        def update(task: RunTask, record: Record | None, error: str | None) -> None:
            bar.console.print(_outcome(task, record, error))
            bar.advance(shown)
            done = int(bar.tasks[0].completed)
            bar.update(shown, left=remaining(time.monotonic() - started, done, total).removeprefix("; "))

        yield update


def remaining(seconds: float, done: int, total: int) -> str:
    """Say how long the rest takes if it goes on as the finished runs went; nothing when all is done.

    Args:
        seconds: that the `done` runs took together, several at a time or not.
    """
    if done >= total or done == 0:
        return ""
    return f"; about {duration(seconds / done * (total - done))} left"


def duration(seconds: float) -> str:
    """Return 45 s, 12 min or 3.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def _outcome(task: RunTask, record: Record | None, error: str | None) -> str:
    if error is not None or record is None:
        return f"{task.label}: FAILED: {error}"
    psnr = record.metrics.get("test", {}).get("psnr")
    seconds = record.metrics.get("seconds", {}).get("total", 0.0)
    measured = "nothing measured" if psnr is None else f"{psnr:.2f} dB"
    return f"{task.label}: {measured}, {duration(seconds)}"
