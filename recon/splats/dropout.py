"""Which Gaussians to drop more often: those near the camera and those in dense places."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

LAYER_FACTORS = (1.0, 0.7, 0.3)
"""Drop-probability factors of the near, middle and far third (D2GS, section 3.2)."""

DISTANCE_CELLS = 8192
"""Distances are ranked by a histogram of this many cells: sorting them exactly each step took a fifth of it."""


def local_density(means: Float[Tensor, "N 3"], neighbors: int = 3) -> Float[Tensor, " N"]:
    """Return how dense the surroundings of each centre are, in [0, 1] (1 = densest), from distances to neighbours.

    The rank of the mean neighbour distance is used instead of the distance, because a few far outliers would
    otherwise push every other value to one end.
    """
    from recon import ops

    distances, _ = ops.nearest_neighbors(means.detach(), min(neighbors, max(1, len(means) - 1)))
    return 1.0 - _rank(distances.mean(1))


def drop_probability(
    distance: Float[Tensor, " N"], density: Float[Tensor, " N"], rate: float
) -> Float[Tensor, " N"]:
    """Return each Gaussian's probability of being dropped, `rate` on average; arguments as in `drop_weights`."""
    return (rate * drop_weights(distance, density)).clamp(max=0.9)


def drop_weights(distance: Float[Tensor, " N"], density: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
    """Return how much likelier than the average each Gaussian is to be dropped; the mean is 1.

    Source: D2GS (depth-and-density guided dropout), section 3.2: score = half nearness, half density; layers by
    distance tertiles weigh it 1, 0.7 and 0.3.

    Args:
        distance: [N] distance to the current camera.
        density: [N] in [0, 1], see `local_density`.
    """
    cell, nearness = _nearness(distance)
    near, middle, far = LAYER_FACTORS
    layer = torch.where(nearness > 2 / 3, near, torch.where(nearness > 1 / 3, middle, far))
    half = 0.5 * layer
    shape = (half * nearness).index_select(0, cell) + half.index_select(0, cell) * density
    return shape / shape.mean().clamp(min=1e-8)


def _nearness(distance: Float[Tensor, " N"]) -> tuple[Int[Tensor, " N"], Float[Tensor, " C"]]:
    """Return each value's cell of a histogram, and each cell's share of values that are farther, in [0, 1].

    The bits of a positive float, read as a whole number, grow like its logarithm, so a few outliers do not take the
    cells away from the others.
    """
    logarithm = distance.to(torch.float32).view(torch.int32).to(torch.float32)
    lowest, highest = logarithm.aminmax()
    scaled = (logarithm - lowest) * ((DISTANCE_CELLS - 1) / (highest - lowest).clamp(min=1))
    cell = scaled.to(torch.int64).clamp(0, DISTANCE_CELLS - 1)  # what is not a number lands anywhere
    counts = torch.bincount(cell, minlength=DISTANCE_CELLS)
    below = counts.cumsum(0) - 0.5 * counts
    return cell, (1.0 - below / max(1, len(distance))).to(distance.dtype)


def _rank(values: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
    """Return each value's rank, scaled to [0, 1]."""
    ranks = torch.empty_like(values)
    ranks[values.argsort()] = torch.linspace(0, 1, len(values), device=values.device, dtype=values.dtype)
    return ranks
