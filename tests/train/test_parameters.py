"""Step sizes per attribute, and how they fall during the training."""

import pytest
import torch

from recon.splats import Gaussians
from recon.train import LearningRates, OptimizedGaussians


def test_centres_and_sizes_calm_down_and_the_rest_does_not():
    rates = LearningRates(means_pixels=0.5, means_final=0.1, log_scales=0.04, log_scales_final=0.25)
    assert [rates.at("means", progress) for progress in (0, 0.5, 1)] == pytest.approx(
        [0.5, 0.5 * 0.1**0.5, 0.05]
    )
    assert [rates.at("log_scales", progress) for progress in (0, 0.5, 1)] == pytest.approx([0.04, 0.02, 0.01])
    for name in ("quaternions", "opacity_logits"):
        assert rates.at(name, 1.0) == rates.at(name, 0.0) == getattr(rates, name)
    assert rates.at("sh", 1.0) == rates.sh_constant


@pytest.mark.parametrize("progress", [0.0, 0.5, 1.0])
def test_a_first_step_is_as_long_as_the_rates_say(progress):
    rates = LearningRates(log_scales=0.04, log_scales_final=0.25)
    start = Gaussians(
        means=torch.zeros(5, 3),
        log_scales=torch.zeros(5, 3),
        quaternions=torch.tensor([1.0, 0, 0, 0]).repeat(5, 1),
        opacity_logits=torch.zeros(5),
        sh=torch.zeros(5, 1, 3),
    )
    gaussians = OptimizedGaussians(start, rates, pixel_size=0.01)
    current = gaussians.gaussians
    (current.means.sum() + current.log_scales.sum()).backward()
    gaussians.step(progress, None)
    # Adam's first step is the learning rate itself, against the sign of the gradient.
    moved = gaussians.gaussians.detach()
    assert torch.allclose(moved.log_scales, torch.full((5, 3), -rates.at("log_scales", progress)), rtol=1e-4)
    assert torch.allclose(moved.means, torch.full((5, 3), -0.01 * rates.at("means", progress)), rtol=1e-4)
