"""Our metrics against scikit-image and torchmetrics on the same pictures, and against cases worked out by hand.

Both libraries are in the `dev` extra. They are imported at the top on purpose: where they are missing this must fail,
not skip.
"""

import math

import numpy as np
import pytest
import skimage.metrics
import torch
import torchmetrics.functional.image as torchmetrics
from torchmetrics.functional.image.lpips import _LPIPS

from recon.evaluation.evaluate import Rendered, evaluate_views
from recon.evaluation.lpips import LPIPS
from recon.evaluation.metrics import average_error, depth_errors, masked_psnr, psnr, ssim, tight_box
from recon.scene import Camera, Pixels, View

TOLERANCE = 1e-4


def textured(height, width, seed):
    """A picture with gradients, edges and fine texture, and a degraded version: shifted, blurred, noisy, clipped."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / 17.0
    waves = np.stack([np.sin(x + y), np.cos(x * y / 3), np.sign(np.sin(2 * x))], axis=-1)
    truth = np.clip(0.5 + 0.4 * waves + 0.05 * generator.standard_normal(waves.shape), 0, 1)
    image = 0.5 * (np.roll(truth, 1, axis=1) + truth) + 0.08 * generator.standard_normal(waves.shape)
    return np.clip(image, 0, 1).astype(np.float32), truth.astype(np.float32)


PAIRS = {
    "landscape": textured(60, 91, 0),
    "portrait": textured(77, 40, 1),
    "small": textured(16, 16, 2),
    "8 bit": tuple(np.round(x * 255).astype(np.uint8).astype(np.float32) / 255 for x in textured(48, 64, 3)),
    "nearly equal": (np.clip(textured(50, 50, 4)[1] + 1e-3, 0, 1), textured(50, 50, 4)[1]),
    "dark": tuple(0.02 * x for x in textured(40, 50, 5)),
    "flat": (np.full((32, 32, 3), 0.5, np.float32), np.full((32, 32, 3), 0.25, np.float32)),
}

pairs = pytest.mark.parametrize("name", PAIRS)


def tensors(name):
    return tuple(torch.from_numpy(x).double().movedim(-1, 0)[None] for x in PAIRS[name])


@pairs
def test_psnr(name):
    image, truth = PAIRS[name]
    ours = psnr(image, truth)
    doubles = [x.astype(np.float64) for x in (truth, image)]
    assert ours == pytest.approx(
        skimage.metrics.peak_signal_noise_ratio(*doubles, data_range=1.0), abs=TOLERANCE
    )
    theirs = torchmetrics.peak_signal_noise_ratio(*tensors(name), data_range=1.0)
    assert ours == pytest.approx(float(theirs), abs=TOLERANCE)


@pairs
def test_ssim_without_padding_is_that_of_scikit_image(name):
    """Its mean leaves out the border that the window reaches beyond; Wang et al.'s weights need the two switches."""
    image, truth = (x.astype(np.float64) for x in PAIRS[name])
    theirs = skimage.metrics.structural_similarity(
        truth,
        image,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=1.0,
        channel_axis=-1,
    )
    assert ssim(*PAIRS[name], padding="valid") == pytest.approx(theirs, abs=TOLERANCE)


@pairs
def test_ssim_with_mirrored_borders_is_that_of_torchmetrics(name):
    theirs = torchmetrics.structural_similarity_index_measure(*tensors(name), data_range=1.0)
    assert ssim(*PAIRS[name], padding="reflect") == pytest.approx(float(theirs), abs=TOLERANCE)


@pairs
def test_reported_ssim_pads_with_zeros_and_scikit_image_sees_the_same_in_padded_pictures(name):
    """The tables' SSIM: a picture with 5 black pixels around, whose border scikit-image leaves out."""
    image, truth = (np.pad(x.astype(np.float64), ((5, 5), (5, 5), (0, 0))) for x in PAIRS[name])
    theirs = skimage.metrics.structural_similarity(
        truth,
        image,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=1.0,
        channel_axis=-1,
    )
    assert ssim(*PAIRS[name]) == pytest.approx(theirs, abs=TOLERANCE)


POOL = "pool"
ALEXNET = ((3, 64, 11, 4, 2), POOL, (64, 192, 5, 1, 2), POOL, (192, 384), (384, 256), (256, 256), POOL)
VGG16 = (
    *((3, 64), (64, 64), POOL, (64, 128), (128, 128), POOL),
    *((128, 256), (256, 256), (256, 256), POOL, (256, 512), (512, 512), (512, 512), POOL),
    *((512, 512), (512, 512), (512, 512), POOL),
)


def network(layers, window):
    """The `features` of torchvision's network with random weights, so that the test needs no torchvision."""
    modules = []
    for layer in layers:
        if layer == POOL:
            modules.append(torch.nn.MaxPool2d(window, 2))
        else:
            inputs, outputs, kernel, stride, padding = (*layer, 3, 1, 1)[:5] if len(layer) == 2 else layer
            modules += [
                torch.nn.Conv2d(inputs, outputs, kernel, stride, padding),
                torch.nn.ReLU(inplace=True),
            ]
            torch.nn.init.kaiming_normal_(modules[-2].weight)
    return torch.nn.Sequential(*modules)


@pytest.mark.parametrize("backbone", ["alex", "vgg"])
def test_lpips_with_the_same_weights_is_that_of_torchmetrics(backbone, monkeypatch):
    """The published linear layers, which torchmetrics brings along, on a backbone of random weights."""
    torch.manual_seed(0)
    features = network(ALEXNET, 3) if backbone == "alex" else network(VGG16, 2)
    module = "torchmetrics.functional.image.lpips._get_tv_model_features"
    monkeypatch.setattr(module, lambda *arguments, **settings: features)
    theirs = _LPIPS(pretrained=True, net=backbone, pnet_rand=True).eval()
    ours = LPIPS(backbone).eval()
    positions = [str(index) for index, layer in enumerate(features) if isinstance(layer, torch.nn.Conv2d)]
    assert positions == list(ours.convolutions), "the same layers of torchvision's network"
    with torch.no_grad():
        for position in positions:
            ours.convolutions[position].load_state_dict(features[int(position)].state_dict())
        for weight, linear in zip(ours.weights, theirs.lins, strict=True):
            weight.copy_(linear.model[-1].weight.flatten())
        for name in ("landscape", "portrait", "8 bit"):
            image, truth = (x.float() for x in tensors(name))
            expected = float(theirs(image, truth, normalize=True))
            assert expected > 1e-3
            assert ours.compare(*PAIRS[name]) == pytest.approx(expected, abs=TOLERANCE)
            assert ours.compare(*PAIRS[name]) == pytest.approx(expected, rel=1e-3)


def view(truth, mask=None, valid=None):
    height, width = truth.shape[:2]
    camera = Camera(np.eye(4), 30.0, 30.0, width / 2, height / 2, width, height)
    return View("a.png", camera, lambda: Pixels(truth, mask=mask, valid=valid))


def measured(image, truth, mask, masked, depth=None, true_depth=None):
    depths = None if true_depth is None else {"a.png": true_depth}
    result = evaluate_views(
        [view(truth, mask)], lambda _: Rendered(image, depth), masked=masked, depths=depths
    )
    return result.mean


def test_psnr_m_by_hand():
    """Two mask pixels, off by 0.1 in all channels and by 0.3 in one: their mean squared error is (0.03 + 0.09) / 6."""
    truth = np.full((20, 24, 3), 0.5, np.float32)
    image = np.ones_like(truth)  # far off, outside of the mask
    mask = np.zeros((20, 24), bool)
    mask[4, 5] = mask[9, 17] = True
    image[4, 5] = 0.6
    image[9, 17] = (0.5, 0.8, 0.5)
    expected = -10 * math.log10(0.02)  # 16.98970 dB
    assert expected == pytest.approx(16.98970, abs=1e-5)
    assert masked_psnr(image, truth, mask) == pytest.approx(expected, abs=TOLERANCE)
    for masked in ("box", "white"):
        assert measured(image, truth, mask, masked)["psnr_masked"] == pytest.approx(expected, abs=TOLERANCE)


def test_box_crops_by_hand():
    """SSIM-M is scikit-image's on the crop: rows 4 to 30, columns 9 to 51, both ends included."""
    image, truth = PAIRS["landscape"]
    mask = np.zeros(truth.shape[:2], bool)
    mask[4, 20] = mask[30, 30] = mask[12, 9] = mask[25, 51] = True
    assert tight_box(mask) == (slice(4, 31), slice(9, 52))
    crops = [np.pad(x[4:31, 9:52].astype(np.float64), ((5, 5), (5, 5), (0, 0))) for x in (truth, image)]
    assert crops[0].shape == (27 + 10, 43 + 10, 3)
    theirs = skimage.metrics.structural_similarity(
        *crops, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1.0, channel_axis=-1
    )
    assert measured(image, truth, mask, "box")["ssim_masked"] == pytest.approx(theirs, abs=TOLERANCE)


def test_a_mask_that_touches_the_edges_has_the_whole_picture_for_its_box():
    image, truth = PAIRS["small"]
    mask = np.zeros(truth.shape[:2], bool)
    mask[0, 3] = mask[15, 2] = mask[7, 0] = mask[3, 15] = True
    means = measured(image, truth, mask, "box")
    assert means["ssim_masked"] == means["ssim"]
    assert means["psnr_masked"] != means["psnr"]


def test_white_composites_by_hand():
    """RegNeRF's DTU protocol: SSIM of the whole picture after everything outside of the mask became white."""
    image, truth = PAIRS["landscape"]
    mask = np.zeros(truth.shape[:2], bool)
    mask[10:40, 20:70] = True
    white = []
    for picture in (truth, image):
        composite = np.ones(picture.shape)
        composite[10:40, 20:70] = picture[10:40, 20:70]
        white.append(np.pad(composite, ((5, 5), (5, 5), (0, 0))))
    theirs = skimage.metrics.structural_similarity(
        *white, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1.0, channel_axis=-1
    )
    assert measured(image, truth, mask, "white")["ssim_masked"] == pytest.approx(theirs, abs=TOLERANCE)


def test_the_geometric_average_by_hand():
    """20 dB, SSIM 0.75 and LPIPS 0.3 make the cube root of 0.01 * 0.5 * 0.3 = 0.0015, which is 0.114471."""
    assert average_error(20.0, 0.75, 0.3) == pytest.approx(0.114471, abs=1e-6)


def test_depth_metrics_by_hand():
    """Truth 2, 4 and 5 known, 10 not rendered: errors 0.01, 0.4 and 0, so 0.005, 0.1 and 0 relative."""
    true_depth = np.zeros((20, 24))
    depth = np.zeros((20, 24), np.float32)
    true_depth[0, :4] = (2.0, 4.0, 5.0, 10.0)
    depth[0, :3] = (2.01, 4.4, 5.0)
    depth[5, 5] = 3.0  # the truth is not known there
    expected = {
        "depth_abs_rel": (0.005 + 0.1 + 0.0) / 3,
        "depth_rmse": math.sqrt((0.01**2 + 0.4**2) / 3),
        "depth_inliers": 2 / 3,
        "depth_coverage": 3 / 4,
    }
    truth = np.zeros((20, 24, 3), np.float32)
    means = measured(truth, truth, None, "box", depth, true_depth)
    assert {name: means[name] for name in expected} == pytest.approx(expected, abs=1e-6)
    errors = depth_errors(depth, true_depth)
    assert errors is not None and errors.absolute_relative == pytest.approx(0.035, abs=1e-6)
