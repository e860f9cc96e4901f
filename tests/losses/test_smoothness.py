"""Layered smoothness: planes in disparity are free, and so are steps between layers once the training is over."""

from types import SimpleNamespace

import pytest
import torch

from recon.losses import LayeredSmoothness

LAYERS = (torch.arange(40) >= 20).long().expand(30, 40)


def loss(depth, progress, weight=1.0):
    term = LayeredSmoothness({"a": LAYERS}, weight, unit=2.0, first_share=0.35)
    return float(term(SimpleNamespace(depth=depth), SimpleNamespace(name="a"), progress))


def test_a_slope_in_disparity_costs_nothing():
    disparity = 0.2 + 0.005 * torch.arange(40.0).expand(30, 40) + 0.01 * torch.arange(30.0)[:, None]
    assert loss(2 * (1 / disparity - 1), 0.0) < 1e-6


def test_a_step_between_layers_costs_less_and_less():
    step = torch.where(LAYERS == 1, 2.0, 6.0)
    costs = [loss(step, progress) for progress in (0.0, 0.5, 1.0)]
    assert costs[0] > costs[1] > costs[2] == 0
    # Disparity 1/2 beside 1/4: two differences of 1/4 per row, 38 per row in all; 65 % of them count at the start.
    assert costs[0] == pytest.approx(0.65 * 2 * 0.25 / 38, rel=1e-5)


def test_a_step_within_a_layer_always_costs():
    step = torch.where(torch.arange(40).expand(30, 40) >= 10, 2.0, 6.0)
    assert loss(step, 1.0) == pytest.approx(2 * 0.25 / 38, rel=1e-5)
    assert loss(step, 1.0, weight=5.0) == pytest.approx(5 * loss(step, 1.0))


def test_unknown_views_have_no_smoothness():
    term = LayeredSmoothness({"a": LAYERS}, 1.0, unit=1.0, first_share=0.35)
    assert term(SimpleNamespace(depth=torch.ones(30, 40)), SimpleNamespace(name="b"), 0.0) is None
