"""Exact nearest neighbours within one point set."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from recon.ops import native
from recon.ops.shapes import Shapes

MAX_NEIGHBORS = 32
"""The CUDA kernel keeps its candidates in registers."""


def nearest_neighbors(
    points: Float[Tensor, "N 3"], k: int
) -> tuple[Float[Tensor, "N k"], Int64[Tensor, "N k"]]:
    """Find the k nearest other points of every point. Not differentiable.

    Args:
        points: [N, 3] finite coordinates, N > k.
        k: the number of neighbours, 1 to 32. A point is no neighbour of itself, but a duplicate at its place
            is.

    Returns:
        Distances [N, k] and indices [N, k] (int64), nearest first; equal distances are ordered by index.

    Raises:
        TypeError, ValueError: if the dtype, the shape, k or a coordinate does not fit.
    """
    shapes = Shapes("nearest_neighbors")
    shapes.check("points", points, "N 3")
    count = shapes.size("N")
    if not 1 <= k <= MAX_NEIGHBORS:
        raise ValueError(f"nearest_neighbors: expected k from 1 to {MAX_NEIGHBORS}, got {k}")
    if count <= k:
        raise ValueError(f"nearest_neighbors: expected more than k={k} points, got {count}")
    points = points.detach().contiguous()
    if not bool(torch.isfinite(points).all()):
        raise ValueError("nearest_neighbors: expected finite points, got a NaN or infinite coordinate")
    distances = points.new_empty((count, k))
    indices = points.new_empty((count, k), dtype=torch.int64)
    native.call("nearest_neighbors", points, distances, indices)
    return distances, indices
