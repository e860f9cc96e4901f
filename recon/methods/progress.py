"""Showing how a step before the training goes: a live bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SECONDS_BETWEEN_LINES = 5.0
"""Without a terminal a line is printed this often at most."""

ShowStep = Callable[[str, float], None]
"""Called with what is being done and the fraction of the step that is done."""


@contextmanager
def shown_steps(label: str) -> Iterator[ShowStep]:
    """Yield a callback that shows what is being done and how far it is."""
    if not sys.stderr.isatty():
        yield _plain_lines(label)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[state]}"),
    )
    # File names may hold what rich takes for markup.
    with Progress(*columns, console=Console(stderr=True, markup=False), transient=True) as bar:
        task = bar.add_task(label, total=1.0, state="")
        yield lambda sentence, done: bar.update(task, completed=done, state=sentence)


def _plain_lines(label: str) -> ShowStep:
    last = time.monotonic()

    def show(sentence: str, done: float) -> None:
        nonlocal last
        if time.monotonic() - last >= SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            print(f"{label}: {sentence} ({done:.0%})", file=sys.stderr, flush=True)

    return show
