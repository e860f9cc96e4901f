"""Pooling a finer rendering gives what an area-averaging camera would see."""

import torch

from recon import ops
from recon.train.multisampling import Multisampling, pooled


def rendering(scale: int) -> ops.Rasterization:
    means = torch.tensor([[0.0, 0.0, 4.0], [0.4, 0.2, 6.0]])
    return ops.rasterize(
        means,
        torch.tensor([[1.0, 0, 0, 0]]).repeat(2, 1),
        torch.tensor([[0.5] * 3, [0.8] * 3]),
        torch.tensor([0.6, 0.9]),
        None,
        torch.eye(4),
        torch.tensor([20.0, 20.0, 12.0, 10.0]) * scale,
        24 * scale,
        20 * scale,
        colors=torch.tensor([[1.0, 0, 0], [0, 1.0, 0]]),
        outputs=("color", "depth"),
    )


def test_the_pooled_picture_has_the_photos_size_and_nearly_its_content():
    one, four = rendering(1), pooled(rendering(4), 4)
    assert four.color.shape == one.color.shape and four.alpha.shape == one.alpha.shape
    assert (four.color - one.color).abs().max() < 0.05, "only the screen-space dilation differs"
    seen = one.alpha > 0.2
    assert (four.depth - one.depth)[seen].abs().max() < 0.2


def test_one_sample_changes_nothing():
    one = rendering(1)
    assert pooled(one, 1) is one


def test_depth_is_averaged_over_what_is_there():
    one = rendering(2)
    half = torch.zeros_like(one.alpha)
    half[:, ::2] = 0.5
    one.alpha, one.depth = half, torch.where(half > 0, 3.0, 0.0)
    assert torch.allclose(pooled(one, 2).depth, torch.full((20, 24), 3.0))


def test_the_first_part_of_the_training_is_not_multisampled():
    generator = torch.Generator().manual_seed(0)
    sampling = Multisampling(highest=3, start=0.5)
    assert {sampling.samples(0.49, generator) for _ in range(20)} == {1}
    assert {sampling.samples(0.5, generator) for _ in range(40)} == {1, 2, 3}
