import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recon.evaluation.metrics import (
    average_error,
    depth_errors,
    gradient_error,
    masked_psnr,
    psnr,
    ssim,
    tight_box,
)


@pytest.fixture(scope="module")
def pair():
    """A smooth picture with edges, and a noisy, slightly shifted version."""
    generator = np.random.default_rng(3)
    y, x = np.mgrid[:57, :83] / 20.0
    truth = np.stack([np.sin(x) * np.cos(y), np.sin(x * y), (x > y).astype(float)], axis=-1) * 0.4 + 0.5
    image = np.roll(truth, 1, axis=1) + 0.05 * generator.standard_normal(truth.shape)
    return np.clip(image, 0, 1).astype(np.float32), truth.astype(np.float32)


def test_zero_padded_ssim_matches_a_direct_convolution(pair):
    """The definition of 3D Gaussian splatting: one conv2d with zero padding, mean over all pixels."""
    offsets = torch.arange(11, dtype=torch.float64) - 5
    window = torch.exp(-(offsets**2) / (2 * 1.5**2))
    window = torch.outer(window, window)
    window = (window / window.sum()).expand(3, 1, 11, 11)
    a, b = (torch.from_numpy(x).double().movedim(-1, 0)[None] for x in pair)

    def blur(x):
        return torch.nn.functional.conv2d(x, window, padding=5, groups=3)

    va, vb, cov = blur(a * a) - blur(a) ** 2, blur(b * b) - blur(b) ** 2, blur(a * b) - blur(a) * blur(b)
    luminance = (2 * blur(a) * blur(b) + 1e-4) / (blur(a) ** 2 + blur(b) ** 2 + 1e-4)
    structure = (2 * cov + 9e-4) / (va + vb + 9e-4)
    assert ssim(*pair) == pytest.approx(float((luminance * structure).mean()), abs=1e-9)


def test_paddings_differ(pair):
    assert abs(ssim(*pair, padding="zero") - ssim(*pair, padding="valid")) > 1e-4


def test_equal_pictures_are_perfect(pair):
    _, truth = pair
    assert psnr(truth, truth) == math.inf
    assert ssim(truth, truth) == pytest.approx(1.0, abs=1e-12)
    assert gradient_error(truth, truth) == 0.0


def test_masked_psnr_by_hand():
    truth = np.zeros((4, 4, 3), np.float32)
    image = truth.copy()
    image[0, 0] = 0.1
    image[3, 3] = 1.0  # outside of the mask
    mask = np.zeros((4, 4), bool)
    mask[0, :2] = True
    # mean squared error over the two masked pixels: 0.01 / 2
    assert masked_psnr(image, truth, mask) == pytest.approx(-10 * math.log10(0.005), abs=1e-5)
    assert masked_psnr(image, truth, np.ones((4, 4), bool)) == pytest.approx(psnr(image, truth))
    assert masked_psnr(image, truth, np.zeros((4, 4), bool)) is None


def test_masked_pixels_have_no_influence(pair):
    image, truth = pair
    mask = np.zeros(truth.shape[:2], bool)
    mask[10:50, 10:60] = True
    spoiled = np.where(mask[..., None], image, 1.0 - image).astype(np.float32)
    for padding in ("zero", "valid", "reflect"):
        assert ssim(spoiled, truth, mask=mask, padding=padding) == ssim(
            image, truth, mask=mask, padding=padding
        )
    assert masked_psnr(spoiled, truth, mask) == masked_psnr(image, truth, mask)
    assert gradient_error(spoiled, truth, mask=mask) == gradient_error(image, truth, mask=mask)
    assert ssim(spoiled, truth) != ssim(image, truth)


def test_masked_ssim_of_a_box_is_the_ssim_of_the_crop(pair):
    image, truth = pair
    mask = np.zeros(truth.shape[:2], bool)
    mask[7:45, 11:70] = True
    box = tight_box(mask)
    for padding in ("zero", "valid"):
        whole = ssim(image, truth, mask=mask, padding=padding)
        assert whole == pytest.approx(ssim(image[box], truth[box], padding=padding), abs=1e-12)


def test_ssim_without_a_single_pixel_is_none(pair):
    image, truth = pair
    assert ssim(image, truth, mask=np.zeros(truth.shape[:2], bool)) is None
    assert ssim(image[:10, :10], truth[:10, :10], padding="valid") is None
    assert ssim(image[:10, :10], truth[:10, :10], padding="zero") is not None


def test_tight_box():
    mask = np.zeros((6, 9), bool)
    assert tight_box(mask) is None
    mask[2, 3] = mask[4, 7] = True
    assert tight_box(mask) == (slice(2, 5), slice(3, 8))


def test_gradient_error_by_hand_and_its_blindness_to_offsets():
    truth = np.zeros((2, 3))
    image = truth.copy()
    image[0, 1] = 0.6
    # horizontal differences: +-0.6 twice in 4 pairs; vertical: 0.6 once in 3 pairs
    assert gradient_error(image, truth) == pytest.approx(3 * 0.6 / 7)
    assert gradient_error(image + 0.2, image) == pytest.approx(0.0, abs=1e-12)
    assert gradient_error(np.zeros((1, 1)), np.zeros((1, 1))) is None


def test_average_error():
    assert average_error(20.0, 0.75, 0.3) == pytest.approx((0.01 * 0.5 * 0.3) ** (1 / 3))
    assert average_error(20.0, 0.75, None) is None
    assert average_error(math.inf, 1.0, 0.0) == 0.0


def test_depth_errors_by_hand():
    truth = np.array([[2.0, 4.0, 0.0], [1.0, np.nan, 10.0]])
    depth = np.array([[2.01, 5.0, 3.0], [0.0, 1.0, 10.0]])
    errors = depth_errors(depth, truth)
    assert errors.absolute_relative == pytest.approx((0.005 + 0.25 + 0.0) / 3)
    assert errors.rmse == pytest.approx(math.sqrt((0.01**2 + 1.0) / 3))
    assert errors.inlier_share == pytest.approx(2 / 3)
    assert errors.coverage == pytest.approx(3 / 4)
    assert depth_errors(depth, truth, mask=truth == 4.0).inlier_share == 0.0
    assert depth_errors(np.zeros((2, 3)), truth) is None


@settings(max_examples=25, deadline=None)
@given(st.floats(0.01, 100.0), st.integers(0, 2**32 - 1))
def test_relative_depth_errors_do_not_depend_on_the_scene_scale(scale, seed):
    generator = np.random.default_rng(seed)
    truth, depth = generator.uniform(1, 5, (2, 6, 7))
    one, other = depth_errors(depth, truth), depth_errors(depth * scale, truth * scale)
    assert other.absolute_relative == pytest.approx(one.absolute_relative)
    assert other.rmse == pytest.approx(one.rmse * scale)


def test_wrong_shapes_are_named():
    with pytest.raises(ValueError, match=r"\(4, 4, 3\) and \(4, 5, 3\)"):
        psnr(np.zeros((4, 4, 3)), np.zeros((4, 5, 3)))
    with pytest.raises(ValueError, match="bool mask"):
        masked_psnr(np.zeros((4, 4, 3)), np.zeros((4, 4, 3)), np.ones((4, 4)))
    with pytest.raises(ValueError, match="padding"):
        ssim(np.zeros((4, 4, 3)), np.zeros((4, 4, 3)), padding="wrap")
