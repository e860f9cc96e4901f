"""The torch twin of `recon.ops.nearest_neighbors`."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor


def nearest_neighbors(
    points: Float[Tensor, "N 3"], k: int
) -> tuple[Float[Tensor, "N k"], Int64[Tensor, "N k"]]:
    """Find the k nearest other points of every point, by comparing all pairs."""
    distances = (points[:, None] - points[None]).square().sum(-1).sqrt()
    distances.fill_diagonal_(torch.inf)
    # Stable, so that equal distances stay in index order.
    ordered, indices = torch.sort(distances, dim=1, stable=True)
    return ordered[:, :k].contiguous(), indices[:, :k].contiguous()
