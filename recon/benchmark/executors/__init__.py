"""Who runs the tasks of a benchmark: processes on this machine, or a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Protocol

from recon.benchmark.task import RunTask
from recon.errors import ReconError

Finished = Callable[[RunTask, "str | None"], None]
"""Called with each task when it is over, and with a sentence when it failed; always on the caller's own thread."""

RETRIES = 2
"""A task whose process dies is started again this often."""

EXECUTORS = {
    "local": ("recon.benchmark.executors.local", "LocalExecutor"),
    "ray": ("recon.benchmark.executors.ray", "RayExecutor"),
}
"""Name of each executor, its module and its class, which is made with the number of workers or None."""


class Executor(Protocol):
    """Runs tasks somewhere."""

    def run(self, tasks: Sequence[RunTask], finished: Finished) -> None:
        """Run every task once, in any order; retried up to 2 times when its process dies.

        `finished` hears of each with an error sentence or None. A task that fails does not stop the others.
        """


def open_executor(name: str, workers: int | None = None) -> Executor:
    """Return the executor of this name.

    Args:
        workers: how many tasks to run at the same time; None for as many as the machine has room for.

    Raises:
        ReconError: when there is no such executor, or what it needs is not installed.
    """
    if name not in EXECUTORS:
        raise ReconError(f"there is no executor {name!r}; there are {', '.join(EXECUTORS)}")
    module, executor = EXECUTORS[name]
    return getattr(import_module(module), executor)(workers)
