"""Drop probabilities follow the paper's rule, whatever the distances look like."""

import pytest
import torch

from recon.splats.dropout import LAYER_FACTORS, drop_probability


def exact(distance: torch.Tensor, density: torch.Tensor, rate: float) -> torch.Tensor:
    """The rule with ranks from sorting."""
    nearness = torch.empty_like(distance)
    nearness[distance.argsort()] = torch.linspace(1, 0, len(distance))
    near, middle, far = LAYER_FACTORS
    layer = torch.where(nearness > 2 / 3, near, torch.where(nearness > 1 / 3, middle, far))
    shape = 0.5 * (nearness + density) * layer
    return (rate * shape / shape.mean()).clamp(max=0.9)


@pytest.mark.parametrize("outlier", [None, 1e-3, 1e6])
def test_ranks_by_histogram_equal_ranks_by_sorting(outlier):
    generator = torch.Generator().manual_seed(0)
    distance = 2 + torch.rand(20_000, generator=generator)
    if outlier is not None:
        distance[7] = outlier
    density = torch.rand(20_000, generator=generator)
    difference = (drop_probability(distance, density, 0.2) - exact(distance, density, 0.2)).abs()
    # Those at the border between two thirds may fall on its other side.
    assert (difference > 2e-3).float().mean() < 5e-3
    assert difference.mean() < 5e-4


def test_mean_is_the_rate_and_nearer_is_likelier():
    distance, density = torch.linspace(1, 9, 1000), torch.full((1000,), 0.5)
    probability = drop_probability(distance, density, 0.3)
    assert float(probability.mean()) == pytest.approx(0.3, rel=1e-4)
    assert (probability.diff() <= 1e-6).all()


@pytest.mark.parametrize("distance", [[3.0], [2.0, 2.0, 2.0], [1.0, float("nan"), 2.0], [0.0, 1.0]])
def test_odd_distances_give_probabilities(distance):
    probability = drop_probability(torch.tensor(distance), torch.full((len(distance),), 0.5), 0.2)
    assert ((probability >= 0) & (probability <= 0.9)).all()
