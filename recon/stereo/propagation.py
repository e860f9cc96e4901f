"""Spreading known depth over a photo without crossing its edges."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

EDGE_COST = 30.0
"""Cost of a step between neighbours whose colours differ by 1 (sRGB, mean over channels); a step on flat colour costs
1, so a path rather goes 3 pixels around than over an edge of 0.1."""
SMOOTHING = 5
"""Side in pixels of the median that takes the seams off guessed depth."""


def propagate(
    image: Float[ndarray, "H W 3"], depth: Float[ndarray, "H W"], allowed: Bool[ndarray, "H W"]
) -> Float[ndarray, "H W"]:
    """Give every allowed pixel the depth of the known pixel nearest to it along paths that avoid edges.

    Nothing is averaged across surfaces, so no depth arises that no surface has. Known pixels stay as they are.

    Args:
        depth: [H, W] z, 0 = unknown; at least one pixel known.
        allowed: pixels that are to have depth; others stay 0.
    """
    import cv2

    known = depth > 0
    if known[allowed].all():
        return np.where(allowed, depth, np.float32(0))
    origin = nearest_along_paths(image, known)
    filled = depth.reshape(-1)[origin].reshape(depth.shape).astype(np.float32)
    smooth = cv2.medianBlur(filled, SMOOTHING)
    return np.where(allowed, np.where(known, depth, smooth), np.float32(0)).astype(np.float32)


def nearest_along_paths(image: Float[ndarray, "H W 3"], known: Bool[ndarray, "H W"]) -> ndarray:
    """Return the flat index of the known pixel that each pixel reaches at the least cost, over eight neighbours.

    Known pixels that border on no unknown one cannot be anyone's nearest and are left out of the graph.
    """
    from scipy.ndimage import binary_dilation
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import dijkstra

    height, width = known.shape
    unknown = ~known
    rim = known & binary_dilation(unknown, np.ones((3, 3), bool))
    index = np.arange(known.size).reshape(known.shape)
    starts, ends, costs = [], [], []
    neighbors: tuple[tuple[slice, slice, slice, slice, float], ...] = (
        (slice(None), slice(0, -1), slice(None), slice(1, None), 1.0),
        (slice(0, -1), slice(None), slice(1, None), slice(None), 1.0),
        (slice(0, -1), slice(0, -1), slice(1, None), slice(1, None), 2**0.5),
        (slice(0, -1), slice(1, None), slice(1, None), slice(0, -1), 2**0.5),
    )
    for rows, columns, other_rows, other_columns, length in neighbors:
        a, b = (rows, columns), (other_rows, other_columns)
        needed = unknown[a] | unknown[b]
        difference = np.abs(image[a] - image[b]).mean(axis=-1)
        starts.append(index[a][needed])
        ends.append(index[b][needed])
        costs.append((length * (1 + EDGE_COST * difference))[needed])
    graph = coo_matrix(
        (np.concatenate(costs), (np.concatenate(starts), np.concatenate(ends))), shape=(known.size,) * 2
    ).tocsr()
    _, _, source = dijkstra(
        graph, directed=False, indices=np.flatnonzero(rim), min_only=True, return_predecessors=True
    )
    own = np.arange(height * width)
    return np.where(known.reshape(-1) | (source < 0), own, source)
