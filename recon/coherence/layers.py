"""Splitting a photo into layers of depth."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

SAMPLES = 2000
"""Disparities that are clustered; the tree of merges is quadratic in their number."""


def depth_layers(depth: Float[ndarray, "H W"], count: int) -> Int[ndarray, "H W"]:
    """Return each pixel's layer, 0 (farthest) to `count` - 1 at most; -1 where there is no depth.

    Normalised disparities are merged bottom-up by Ward's criterion until `count` clusters are left. In one dimension
    clusters are intervals, so a pixel belongs to the one whose bounds it lies in.

    Source: CoherentGS (its segmentation is by depth, five layers).
    """
    known = depth > 0
    labels = np.full(depth.shape, -1, np.int64)
    if not known.any():
        return labels
    disparity = 1 / depth[known].astype(np.float64)
    disparity /= disparity.max()
    labels[known] = np.searchsorted(_bounds(disparity, count), disparity, side="right")
    return labels


def _bounds(values: Float[ndarray, " N"], count: int) -> Float[ndarray, " C"]:
    """Return the increasing values that separate the clusters."""
    from scipy.cluster.hierarchy import fcluster, linkage

    sample = np.sort(values)[:: max(1, len(values) // SAMPLES)]
    if count < 2 or sample[0] == sample[-1]:
        return np.zeros(0)
    clusters = fcluster(linkage(sample[:, None], method="ward"), count, criterion="maxclust")
    change = np.flatnonzero(np.diff(clusters))
    return 0.5 * (sample[change] + sample[change + 1])
