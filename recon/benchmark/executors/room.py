"""How many runs a machine has room for: its cores, its free memory, its GPU."""

from __future__ import annotations

import os
from collections.abc import Sequence

from recon.benchmark.task import RunTask
from recon.errors import ReconError
from recon.methods.options import RunSettings

CORES_PER_RUN = 4
"""Cores that a run is given at least; chosen, not measured. One run uses all cores of a smaller machine by itself."""

SHARE_OF_MEMORY = 0.8
"""Part of the free memory that the runs may take together."""

PROCESS_BYTES = 450_000_000
"""What a run holds before its first picture: Python, torch, the kernels."""
MEASURING_FLOATS = 68
"""Floats per pixel of one picture that measuring takes beside training: the float64 maps of SSIM above all."""
STEREO_FLOATS = 5
"""Floats per pixel of every input that stereo takes beside training: depth, confidence and points."""
# With recon.train.memory's estimate they make 0.92, 1.79 and 2.29 GB where docs/results.md has peaks of 0.55 GB (fern,
# `quality`), 1.53 and 2.05 GB (scan65 at 1600x1200, 3 and 9 views); no run was measured that took more than estimated.


def worker_count(tasks: Sequence[RunTask]) -> int:
    """Return how many of these tasks to run at the same time on this machine; one at a time on a GPU."""
    from recon.methods.options import choose_device
    from recon.train.memory import available_memory

    by_cores = min(len(tasks), cores() // CORES_PER_RUN)
    if by_cores <= 1 or any(choose_device(task.options.device) == "cuda" for task in tasks):
        return 1
    distinct = {(task.options.photos, *task.key[:-1]): task for task in tasks}
    largest = max(run_memory(task) for task in distinct.values())
    return max(1, min(by_cores, int(available_memory() * SHARE_OF_MEMORY) // largest))


def run_memory(task: RunTask) -> int:
    """Estimate the bytes that a run takes at its peak, from its settings and the headers of its pictures."""
    from dataclasses import replace

    from recon.methods.options import resolve
    from recon.train.memory import training_bytes

    settings = resolve(replace(task.options, device="cpu"))
    config = settings.method_config
    gaussians = config.expected_gaussians
    pictures = _input_pixels(settings)
    extra = getattr(config, "extra_bytes", None)  # of methods that hold more than Gaussians and renderings
    return (
        PROCESS_BYTES
        + (extra(pictures) if extra else 0)
        + training_bytes(gaussians, (config.train.sh_degree + 1) ** 2, pictures)
        + 4 * (MEASURING_FLOATS * max(pictures) + STEREO_FLOATS * sum(pictures))
    )


def cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _input_pixels(settings: RunSettings) -> list[int]:
    """Return the number of pixels of every input picture at the size that it is worked on."""
    from recon.datasets import PictureSize, open_photos, recognise
    from recon.methods.open_inputs import given_scene

    try:
        if recognise(settings.photos).name == "photos":
            photos = open_photos(settings.photos, PictureSize(max_size=settings.max_size)).photos
            return [photo.width * photo.height for photo in photos]
        return [view.camera.width * view.camera.height for view in given_scene(settings).train_views]
    except ReconError:
        return [0]  # the run itself will say what is wrong
