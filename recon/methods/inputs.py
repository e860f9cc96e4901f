"""What a method is given: the input views and what stereo says about them. Nothing else, so nothing can leak."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recon.scene import View
from recon.stereo import DepthMap, PointCloud


@dataclass(frozen=True, eq=False)
class Inputs:
    """Input views with their stereo results.

    Attributes:
        views: the photos to reconstruct from; held-out views are not here.
        depths: one per view, in the same order; empty when stereo was not run.
        points: fused stereo points; None when stereo was not run.
        near, far: depth range of the scene (z) as seen by the inputs.
        background: known colour behind the object, if any.
    """

    views: Sequence[View]
    depths: Sequence[DepthMap]
    points: PointCloud | None
    near: float
    far: float
    background: tuple[float, float, float] | None = None

    @property
    def median_depth(self) -> float:
        """Median of the stereo depth, or the harmonic mean of near and far without stereo."""
        known = [depth.depth[depth.depth > 0] for depth in self.depths]
        if known and sum(map(len, known)):
            return float(np.median(np.concatenate(known)))
        return 2 / (1 / self.near + 1 / self.far)

    @property
    def pixel_size(self) -> float:
        """World size of a pixel at the median depth."""
        focal = float(np.median([view.camera.fx for view in self.views]))
        return self.median_depth / focal

    @property
    def stride(self) -> float:
        """Side of a pixel of the size at which stereo matched, in pixels of the photos; 1 without stereo."""
        return max((depth.stride for depth in self.depths), default=1.0)
