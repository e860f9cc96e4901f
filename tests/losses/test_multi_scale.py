"""The multi-scale colour term, from its definition."""

from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional as F

from recon import ops
from recon.losses import MultiScaleTerm


def random_pictures():
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(48, 64, 3, generator=generator) for _ in range(2)]


def view_of(image, weight=None):
    return SimpleNamespace(image=image, weight=weight, virtual=False)


def test_the_term_is_a_sum_over_halved_sizes():
    image, target = random_pictures()
    expected = 0.0
    small_image, small_target = (p.permute(2, 0, 1)[None] for p in (image, target))
    for weight in (1, 1 / 4, 1 / 8, 1 / 16, 1 / 32):
        expected += 0.8 * weight * float((small_image - small_target).abs().mean())
        small_image, small_target = F.avg_pool2d(small_image, 2), F.avg_pool2d(small_target, 2)
    expected += 0.2 * (1 - float(ops.l1_ssim(image, target)[1]))
    got = MultiScaleTerm()(SimpleNamespace(color=image), view_of(target), 0.0)
    assert float(got) == pytest.approx(expected, rel=1e-5)


def test_equal_pictures_cost_nothing_and_pixels_without_a_picture_do_not_count():
    image, _ = random_pictures()
    weight = torch.ones(48, 64)
    weight[:, :20] = 0
    target = image.clone()
    target[:, :20] = 0
    color = image.clone().requires_grad_(True)
    loss = MultiScaleTerm()(SimpleNamespace(color=color), view_of(target, weight), 0.0)
    assert float(loss.detach()) == pytest.approx(0, abs=1e-5)
    loss.backward()
    assert float(color.grad.abs().max()) < 1e-9
