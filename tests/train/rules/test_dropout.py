"""Dropout: how many Gaussians it drops, and that more photos mean less of it."""

import pytest
import torch

from recon.splats import Gaussians
from recon.train import LearningRates, OptimizedGaussians
from recon.train.rules import DropoutSettings, GuidedDropout

COUNT = 4000


@pytest.fixture(scope="module")
def gaussians():
    means = torch.randn(COUNT, 3, generator=torch.Generator().manual_seed(0)) + torch.tensor([0.0, 0, 5])
    return OptimizedGaussians(
        Gaussians(
            means=means,
            log_scales=torch.zeros(COUNT, 3),
            quaternions=torch.tensor([1.0, 0, 0, 0]).repeat(COUNT, 1),
            opacity_logits=torch.zeros(COUNT),
            sh=torch.zeros(COUNT, 1, 3),
        ),
        LearningRates(),
        pixel_size=0.01,
    )


def factors(gaussians, progress=1.0, **settings):
    overlap = settings.pop("overlap", GuidedDropout.REFERENCE_OVERLAP)
    dropout = GuidedDropout(DropoutSettings(**settings), overlap)
    generator = torch.Generator().manual_seed(1)
    return dropout.factors(gaussians, "photo", torch.zeros(3), progress, generator)


@pytest.mark.parametrize(("progress", "rate"), [(0.0, 0.05), (0.5, 0.175), (1.0, 0.3)])
def test_the_rate_rises_with_the_training(gaussians, progress, rate):
    dropped = (factors(gaussians, progress) == 0).float().mean()
    assert float(dropped) == pytest.approx(rate, abs=0.02)


@pytest.mark.parametrize(("overlap", "rate"), [(1.0, 0.3), (3.0, 0.3), (6.0, 0.15), (9.0, 0.1)])
def test_the_more_photos_see_a_place_the_less_is_dropped(gaussians, overlap, rate):
    dropped = (factors(gaussians, overlap=overlap) == 0).float().mean()
    assert float(dropped) == pytest.approx(rate, abs=0.02)


def test_survivors_make_up_for_the_dropped(gaussians):
    assert float(factors(gaussians).mean()) == pytest.approx(1.0, abs=0.02)


def test_no_rate_is_no_dropout(gaussians):
    assert factors(gaussians, start_rate=0.0, end_rate=0.0) is None
