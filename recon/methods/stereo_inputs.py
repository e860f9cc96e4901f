"""From posed photos to a method's inputs: stereo depth, even exposure, points, depth range."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from recon.methods.inputs import Inputs
from recon.scene import Exposures, View, evened
from recon.stereo import DepthMap, StereoSettings, estimate_depth, fuse_points, relative_exposures

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
    exposures = _exposures(views, depths) if settings.exposures else {}
    views = [evened(view, exposures) for view in views]
    points = fuse_points(views, depths, merge=True)
    near, far = _depth_range(depths, bounds)
    return Inputs(views, depths, points, near, far, background, exposures)


def _exposures(views: Sequence[View], depths: Sequence[DepthMap]) -> Exposures:
    factors = relative_exposures(views, depths)
    if factors is None:
        return {}
    return {
        view.name: [round(float(one), 5) for one in row] for view, row in zip(views, factors, strict=True)
    }


def _depth_range(depths: Sequence[DepthMap], bounds: tuple[float, float] | None) -> tuple[float, float]:
    known = np.concatenate([depth.depth[depth.depth > 0] for depth in depths])
    if len(known) == 0:
        return bounds or (0.1, 100.0)
    near, far = np.percentile(known, [RANGE_PERCENTILE, 100 - RANGE_PERCENTILE])
    return float(near), float(far)
