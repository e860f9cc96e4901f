"""Showing how a training goes: a live bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recon.train.trainer import StepRecord, Trainer

SECONDS_BETWEEN_LINES = 15.0
"""Without a terminal a line is printed this often."""


@contextmanager
def shown_progress(label: str) -> Iterator:
    """Yield a trainer callback that shows iteration, rate, remaining time, loss, PSNR and count."""
    if not sys.stderr.isatty():
        yield _PlainProgress(label)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[state]}"),
        console=Console(stderr=True),
    )
    with bar:
        task = bar.add_task(label, total=None, state="")

        def update(trainer: Trainer, record: StepRecord) -> None:
            bar.update(task, total=record.iterations, completed=record.iteration, state=_state(record))

        yield update


class _PlainProgress:
    def __init__(self, label: str) -> None:
        self.label = label
        self._last = time.monotonic()

    def __call__(self, trainer: Trainer, record: StepRecord) -> None:
        now = time.monotonic()
        last = record.iteration == record.iterations
        if now - self._last < SECONDS_BETWEEN_LINES and not last:
            return
        self._last = now
        remaining = record.seconds / record.iteration * (record.iterations - record.iteration)
        print(
            f"{self.label}: {record.iteration}/{record.iterations}, {remaining:.0f} s left, {_state(record)}",
            file=sys.stderr,
        )


def _state(record: StepRecord) -> str:
    rate = record.iteration / max(record.seconds, 1e-9)
    return f"{rate:.1f} it/s, loss {record.loss:.4f}, {record.psnr:.2f} dB, {record.gaussians} Gaussians"
