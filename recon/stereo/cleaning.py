"""Removing what does not belong to a surface, and filling what is near one."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

SAME_SURFACE = 0.01
"""Neighbours whose depth differs by less than this belong to one surface."""


def small_components(depth: Float[ndarray, "H W"], min_pixels: int) -> Bool[ndarray, "H W"]:
    """Return the known pixels that belong to connected pieces of surface of fewer than `min_pixels` pixels.

    Pieces are connected over the four neighbours by depth steps below 1 %.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    known = depth > 0
    index = np.arange(depth.size).reshape(depth.shape)
    starts, ends = [], []
    for a, b in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])):
        joined = (
            known[a]
            & known[b]
            & (np.abs(depth[a] - depth[b]) < SAME_SURFACE * np.minimum(depth[a], depth[b]))
        )
        starts.append(index[a][joined])
        ends.append(index[b][joined])
    start, end = np.concatenate(starts), np.concatenate(ends)
    graph = coo_matrix((np.ones(len(start), np.int8), (start, end)), shape=(depth.size, depth.size))
    labels = connected_components(graph, directed=False)[1]
    sizes = np.bincount(labels)
    return known & (sizes[labels].reshape(depth.shape) < min_pixels)


def fill_nearest(
    depth: Float[ndarray, "H W"], max_distance: float, where: Bool[ndarray, "H W"]
) -> tuple[Float[ndarray, "H W"], ndarray]:
    """Give unknown pixels the depth of the nearest known one within `max_distance` pixels.

    Args:
        where: pixels that may be filled.

    Returns:
        The depth, and the flat index of the pixel that each pixel's depth comes from.
    """
    from scipy.ndimage import distance_transform_edt

    own = np.arange(depth.size).reshape(depth.shape)
    if not depth.any():
        return depth.copy(), own
    distance, (row, column) = distance_transform_edt(depth == 0, return_indices=True)
    take = where & (depth == 0) & (distance <= max_distance)
    origin = np.where(take, row * depth.shape[1] + column, own)
    return np.where(take, depth[row, column], depth), origin
