"""From posed photos to a method's inputs: stereo depth, points, depth range."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from recon.methods.inputs import Inputs
from recon.scene import View
from recon.stereo import DepthMap, StereoSettings, estimate_depth, fuse_points

RANGE_PERCENTILE = 0.5
"""The nearest and farthest this percentage of pixels does not count for the depth range: some are wrong."""


def stereo_inputs(
    views: Sequence[View],
    settings: StereoSettings,
    *,
    bounds: tuple[float, float] | None = None,
    background: tuple[float, float, float] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Inputs:
    """Run stereo on the input views. Only these views are handed on: no held-out picture can be opened.

    Args:
        bounds: (near, far) z to search where matches are too few.
        background: known colour behind the object, handed on.
        progress: called with (steps done, steps in all).
    """
    depths = estimate_depth(views, settings, bounds=bounds, progress=progress)
    points = fuse_points(views, depths, merge=True)
    near, far = _depth_range(depths, bounds)
    return Inputs(views, depths, points, near, far, background)


def _depth_range(depths: Sequence[DepthMap], bounds: tuple[float, float] | None) -> tuple[float, float]:
    known = np.concatenate([depth.depth[depth.depth > 0] for depth in depths])
    if len(known) == 0:
        return bounds or (0.1, 100.0)
    near, far = np.percentile(known, [RANGE_PERCENTILE, 100 - RANGE_PERCENTILE])
    return float(near), float(far)
