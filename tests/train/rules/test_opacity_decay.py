"""Opacity decay: the share that it leaves does not depend on the length of the training."""

from types import SimpleNamespace

import pytest
import torch

from recon.splats import Gaussians
from recon.train import LearningRates, OptimizedGaussians
from recon.train.rules import OpacityDecay

OPACITIES = torch.tensor([0.9, 0.6, 0.05])


def decayed(left: float, iterations: int, start: float = 0.05) -> torch.Tensor:
    """Return what the rule makes of opacities that no gradient holds up."""
    count = len(OPACITIES)
    gaussians = OptimizedGaussians(
        Gaussians(
            means=torch.zeros(count, 3),
            log_scales=torch.zeros(count, 3),
            quaternions=torch.tensor([1.0, 0, 0, 0]).repeat(count, 1),
            opacity_logits=torch.logit(OPACITIES),
            sh=torch.zeros(count, 1, 3),
        ),
        LearningRates(),
        pixel_size=0.01,
    )
    rule = OpacityDecay(left, start)
    for iteration in range(1, iterations + 1):
        trainer = SimpleNamespace(
            iteration=iteration, settings=SimpleNamespace(iterations=iterations), gaussians=gaussians
        )
        rule.after_step(trainer, step=None)
    return gaussians.gaussians.opacities.detach()


@pytest.mark.parametrize("iterations", [600, 1000, 5000])
def test_the_share_left_is_the_same_for_any_length(iterations):
    assert torch.allclose(decayed(0.25, iterations), 0.25 * OPACITIES, rtol=1e-4)


def test_nothing_fades_before_the_start_or_where_everything_is_left():
    assert torch.allclose(decayed(1.0, 100), OPACITIES, rtol=1e-4)
    assert torch.allclose(decayed(0.5, 100, start=1.0), OPACITIES, rtol=1e-4)


@pytest.mark.parametrize("left", [0.0, -0.1, 1.5])
def test_shares_outside_zero_and_one_are_refused(left):
    with pytest.raises(ValueError, match="must be in"):
        OpacityDecay(left)
