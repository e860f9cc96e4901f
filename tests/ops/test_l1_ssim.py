"""The fused loss against its torch twin, scikit-image and itself."""

import numpy as np
import pytest
import torch

from recon import _core
from recon.ops import l1_ssim, reference

SHAPES = [(1, 1, 3), (5, 40, 3), (37, 11, 3), (64, 67, 1), (61, 83, 3)]


def pictures(height, width, channels=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(height, width, channels, generator=generator)
    noise = torch.randn(height, width, channels, generator=generator)
    return image, (image + 0.1 * noise).clamp(0, 1)


def gradient_of(function, image, target, mask, weights=(0.8, -0.2)):
    image = image.clone().requires_grad_()
    l1, ssim = function(image, target, mask)
    (weights[0] * l1 + weights[1] * ssim).backward()
    return l1.detach(), ssim.detach(), image.grad


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("instruction_set", ["baseline", "avx2", "avx512"])
def test_equals_twin(shape, masked, instruction_set, use_instruction_set):
    use_instruction_set(instruction_set)
    image, target = pictures(*shape)
    mask = torch.rand(shape[:2], generator=torch.Generator().manual_seed(1)) if masked else None
    l1, ssim, gradient = gradient_of(l1_ssim, image, target, mask)
    exact = gradient_of(
        reference.l1_ssim, image.double(), target.double(), None if mask is None else mask.double()
    )
    torch.testing.assert_close(l1.double(), exact[0], rtol=2e-6, atol=0)
    torch.testing.assert_close(ssim.double(), exact[1], rtol=2e-6, atol=0)
    error = (gradient.double() - exact[2]).norm() / exact[2].norm()
    assert error < 1e-5


def test_twin_gradient_by_finite_differences():
    image, target = pictures(7, 6)
    image, target = image.double().requires_grad_(), target.double()
    mask = torch.rand(7, 6, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: reference.l1_ssim(x, target, mask), (image,))


def test_equals_scikit_image_away_from_borders():
    metrics = pytest.importorskip("skimage.metrics")
    image, target = pictures(48, 56)
    _, expected = metrics.structural_similarity(
        image.numpy(),
        target.numpy(),
        channel_axis=2,
        data_range=1.0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )
    inside = torch.zeros(48, 56)
    inside[5:-5, 5:-5] = 1.0
    _, ssim = l1_ssim(image, target, inside)
    assert float(ssim) == pytest.approx(float(np.mean(expected[5:-5, 5:-5])), abs=1e-6)


def test_equal_pictures_are_the_optimum():
    image, _ = pictures(20, 30)
    l1, ssim, gradient = gradient_of(l1_ssim, image, image.clone(), None)
    assert float(l1) == 0.0
    assert float(ssim) == pytest.approx(1.0, abs=1e-6)
    assert gradient.abs().max() < 1e-6


def test_pixels_without_weight_do_not_matter_beyond_the_window():
    image, target = pictures(40, 40)
    mask = torch.zeros(40, 40)
    mask[:, :10] = 1.0
    other = image.clone()
    other[:, 15:] = 0.0
    for first, second in zip(l1_ssim(image, target, mask), l1_ssim(other, target, mask), strict=True):
        assert torch.equal(first, second)


def test_no_weight_at_all_gives_zero():
    image, target = pictures(12, 13)
    l1, ssim, gradient = gradient_of(l1_ssim, image, target, torch.zeros(12, 13))
    assert float(l1) == 0.0 and float(ssim) == 0.0
    assert torch.equal(gradient, torch.zeros_like(gradient))


def test_thread_count_changes_no_bit():
    image, target = pictures(131, 97)
    before = _core.thread_count()
    try:
        results = []
        for threads in (1, 2, 5):
            _core.set_thread_count(threads)
            results.append(gradient_of(l1_ssim, image, target, None))
    finally:
        _core.set_thread_count(before)
    for other in results[1:]:
        for first, second in zip(results[0], other, strict=True):
            assert torch.equal(first, second)


def test_non_contiguous_pictures_are_read_right():
    image, target = pictures(20, 24)
    channels_first = image.permute(2, 0, 1).contiguous().permute(1, 2, 0)
    for first, second in zip(l1_ssim(image, target), l1_ssim(channels_first, target), strict=True):
        assert torch.equal(first, second)


def test_errors_say_what_was_expected():
    image, target = pictures(8, 9)
    with pytest.raises(
        ValueError, match=r"expected target of shape \[H W C\] \(with H=8, W=9, C=3\), got \[8, 8, 3\]"
    ):
        l1_ssim(image, target[:, :8])
    with pytest.raises(TypeError, match=r"expected image to be torch.float32, got torch.float64"):
        l1_ssim(image.double(), target)
    with pytest.raises(ValueError, match=r"pass target.detach\(\)"):
        l1_ssim(image, target.requires_grad_())
