"""Anchors: cells of a grid, fixed with the keyframe, whose Gaussians move and are gated together."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int32
from numpy import ndarray

CELL_BITS = 20
"""Cells per axis are below 2^20, so that three fit one number."""


def anchor_cells(means: Float[ndarray, "N 3"], side: float) -> Int32[ndarray, " N"]:
    """Return the anchor of each Gaussian, 0 to A - 1: the number of its cell among those that are not empty.

    After S2GS, whose anchors are the cells of an octree over the first frame; here all cells are of one size, which is
    chosen in pixels, so that an anchor is a small patch of the pictures.
    """
    cells = np.floor((means - means.min(axis=0)) / side).astype(np.int64)
    cells = np.minimum(cells, (1 << CELL_BITS) - 1)
    code = cells[:, 0] << 2 * CELL_BITS | cells[:, 1] << CELL_BITS | cells[:, 2]
    return np.unique(code, return_inverse=True)[1].astype(np.int32)
