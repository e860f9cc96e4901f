"""How many runs a machine has room for."""

from __future__ import annotations

import os
from collections.abc import Sequence

from recon.benchmark.task import RunTask

CORES_PER_RUN = 4
"""Cores that a run is given. One run already uses all cores of a small machine, so there they are not shared."""


def worker_count(tasks: Sequence[RunTask]) -> int:
    """Return how many of these tasks to run at the same time on this machine."""
    return max(1, min(len(tasks), cores() // CORES_PER_RUN))


def cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
