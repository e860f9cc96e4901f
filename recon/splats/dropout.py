"""Which Gaussians to drop more often: those near the camera and those in dense places."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

LAYER_FACTORS = (1.0, 0.7, 0.3)
"""Drop-probability factors of the near, middle and far third (D2GS, section 3.2)."""


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
    """Return each Gaussian's probability of being dropped, `rate` on average.

    Source: D2GS (depth-and-density guided dropout), section 3.2: score = half nearness, half density; layers by
    distance tertiles weigh it 1, 0.7 and 0.3; the global rate scales it.

    Args:
        distance: [N] distance to the current camera.
        density: [N] in [0, 1], see `local_density`.
        rate: mean drop probability.
    """
    nearness = 1.0 - _rank(distance)
    score = 0.5 * nearness + 0.5 * density
    near, middle, far = LAYER_FACTORS
    layer = torch.where(nearness > 2 / 3, near, torch.where(nearness > 1 / 3, middle, far))
    shape = score * layer
    return (rate * shape / shape.mean().clamp(min=1e-8)).clamp(max=0.9)


def _rank(values: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
    """Return each value's rank, scaled to [0, 1]."""
    ranks = torch.empty_like(values)
    ranks[values.argsort()] = torch.linspace(0, 1, len(values), device=values.device, dtype=values.dtype)
    return ranks
