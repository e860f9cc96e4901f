"""The colour term looks at pixels that have a picture, and at nothing else."""

import pytest
import torch

from recon.losses import PhotometricTerm
from recon.ops import Rasterization
from recon.train import TrainingView


def view_of(image, weight=None, virtual=False) -> TrainingView:
    return TrainingView(
        "photo", image, torch.eye(4), torch.tensor([50.0, 50, 16, 16]), weight, virtual=virtual
    )


def rendering_of(color) -> Rasterization:
    return Rasterization(color, torch.ones(color.shape[:2]), None, None, None, None, torch.zeros(0), None)


@pytest.mark.parametrize("virtual", [False, True])
def test_pixels_without_a_picture_do_not_darken_their_neighbours(virtual):
    truth = torch.rand(32, 32, 3, generator=torch.Generator().manual_seed(0))
    weight = torch.ones(32, 32)
    weight[:, :8] = 0
    target = truth * weight[..., None]  # black where undistortion left nothing
    color = truth.clone().requires_grad_()
    PhotometricTerm()(rendering_of(color), view_of(target, weight, virtual), 0.0).backward()
    assert color.grad.abs().max() < 1e-5


def test_a_wrong_color_is_pulled_towards_the_photo():
    color = torch.full((32, 32, 3), 0.2, requires_grad=True)
    PhotometricTerm()(rendering_of(color), view_of(torch.full((32, 32, 3), 0.6)), 0.0).backward()
    assert (color.grad < 0).all()
