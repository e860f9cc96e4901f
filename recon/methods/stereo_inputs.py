"""From posed photos to a method's inputs: stereo depth, points, depth range."""

from __future__ import annotations

from collections.abc import Sequence

from recon.methods.inputs import Inputs
from recon.scene import View
from recon.stereo import StereoSettings, estimate_depth, fuse_points


def stereo_inputs(
    views: Sequence[View],
    settings: StereoSettings,
    *,
    bounds: tuple[float, float] | None = None,
    background: tuple[float, float, float] | None = None,
) -> Inputs:
    """Run stereo on the input views. Only these views are handed on: no held-out picture can be opened."""
    depths = estimate_depth(views, settings, bounds=bounds)
    points = fuse_points(views, depths)
    near, far = depth_range(depths, bounds)
    return Inputs(views, depths, points, near, far, background)
