"""How much memory a training needs, and how many Gaussians fit."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from recon.splats import Gaussians
from recon.train.views import TrainingView

COPIES = 11
"""A parameter is held with its gradient and two moments; activated for a step; copied when Gaussians are added or
removed, and when a checkpoint is written."""
RASTERIZER_FLOATS = 210
"""Floats per Gaussian that the rasterizer and density control take: projection, tile pairs, gradient slots."""
PIXEL_FLOATS = 25
"""Floats per pixel for one rendering, the losses' intermediates and their gradients."""
# The three were measured on 22 November 2026 with benchmarks/training_memory.py (CPU, x86_64, torch 2.13.0, Gaussians
# of 3 px radius, growth and a checkpoint included): peak RSS of trainings of 20,000 to 630,000 Gaussians of degree 0 to
# 3 on three pictures of 400x300 to 1600x1200 fits 11.0 copies, 206 floats per Gaussian and, pictures included, 31
# floats per pixel. The estimate lies between 0.96 and 1.37 of what was measured. Larger Gaussians touch more tiles and
# take more; on a GPU nothing was measured.

PICTURE_FLOATS = 6
"""Floats per pixel of each training view at most: colour, weight, depth and its weight."""
SHARE = 0.5
"""Part of the free memory that a training may take."""


def available_memory() -> int:
    """Return the bytes that this process may still take, the container's limit included."""
    candidates = []
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                candidates.append(int(line.split()[1]) * 1024)
    except OSError:
        pass
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        used = Path("/sys/fs/cgroup/memory.current").read_text().strip()
        if limit != "max":
            candidates.append(int(limit) - int(used))
    except OSError:
        pass
    if not candidates:
        candidates.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2)
    return max(0, min(candidates))


def bytes_per_gaussian(coefficients: int) -> int:
    """Return the training memory of one Gaussian with this many colour coefficients."""
    parameters = 11 + 3 * coefficients
    return 4 * (parameters * COPIES + RASTERIZER_FLOATS)


def training_bytes(count: int, coefficients: int, pixels: Sequence[int]) -> int:
    """Estimate the bytes that a training takes.

    Args:
        count: number of Gaussians.
        coefficients: of the colour of each: 1, 4, 9 or 16.
        pixels: of every input picture.
    """
    pictures = sum(pixels) * PICTURE_FLOATS * 4
    return count * bytes_per_gaussian(coefficients) + max(pixels) * PIXEL_FLOATS * 4 + pictures


def training_memory(gaussians: Gaussians, count: int, views: Sequence[TrainingView]) -> int:
    """Estimate the bytes that training `count` such Gaussians on these views takes."""
    return training_bytes(count, gaussians.sh.shape[1], [view.width * view.height for view in views])


def gaussian_limit(wanted: int, gaussians: Gaussians, views: Sequence[TrainingView]) -> int:
    """Return the Gaussian cap: the wanted one, or (for 0) as many as fit into half the free memory."""
    if wanted > 0:
        return wanted
    fixed = training_memory(gaussians, 0, views)
    return max(
        len(gaussians), int((available_memory() * SHARE - fixed) // bytes_per_gaussian(gaussians.sh.shape[1]))
    )
