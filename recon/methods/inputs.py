"""What a method is given: the input views and what stereo says about them. Nothing else, so nothing can leak."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from recon.scene import Exposures, View
from recon.stereo import DepthMap, PointCloud

OVERLAP_SAMPLE = 5000
"""Points that the overlap is counted on."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """Input views with their stereo results.

    Attributes:
        views: the photos to reconstruct from, evened in exposure where that differs; held-out views are not here.
        depths: one per view, in the same order; empty when stereo was not run.
        points: fused stereo points; None when stereo was not run.
        near, far: depth range of the scene (z) as seen by the inputs.
        background: known colour behind the object, if any.
        exposures: what was taken out of the photos; empty where they were exposed alike.
    """

    views: Sequence[View]
    depths: Sequence[DepthMap]
    points: PointCloud | None
    near: float
    far: float
    background: tuple[float, float, float] | None = None
    exposures: Exposures = field(default_factory=dict)

    @property
    def median_depth(self) -> float:
        """Median of the stereo depth, or the harmonic mean of near and far without stereo."""
        known = [depth.depth[depth.depth > 0] for depth in self.depths]
        if known and sum(map(len, known)):
            return float(np.median(np.concatenate(known)))
        return 2 / (1 / self.near + 1 / self.far)

    @property
    def overlap(self) -> float:
        """Mean number of photos within whose frame a stereo point lies; the number of photos without stereo."""
        if self.points is None or len(self.points) == 0:
            return float(len(self.views))
        positions = self.points.positions[:: max(1, len(self.points) // OVERLAP_SAMPLE)].astype(np.float64)
        framed = np.zeros(len(positions))
        for view in self.views:
            pixels, z = view.camera.project(positions)
            size = [view.camera.width, view.camera.height]
            framed += (z > 0) & (pixels >= 0).all(axis=1) & (pixels < size).all(axis=1)
        return float(framed.mean())

    @property
    def pixel_size(self) -> float:
        """World size of a pixel at the median depth."""
        focal = float(np.median([view.camera.fx for view in self.views]))
        return self.median_depth / focal

    @property
    def stride(self) -> float:
        """Side of a pixel of the size at which stereo matched, in pixels of the photos; 1 without stereo."""
        return max((depth.stride for depth in self.depths), default=1.0)

    @property
    def matched_pixel_size(self) -> float:
        """World size, at the median depth, of a pixel that stereo matched: what its errors are measured in."""
        return self.stride * self.pixel_size
