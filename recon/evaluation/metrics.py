"""Picture and depth metrics, in numpy, each in the form that the field's tables use.

Pictures are float arrays [H, W, 3] (or [H, W]) of sRGB values in [0, 1]; every function computes in float64.
A `mask` selects the pixels that count, `True` meaning that a pixel does.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

Padding = Literal["zero", "valid", "reflect"]

# What tables and reports say where LPIPS was not measured.
WEIGHTS_NOT_INSTALLED = "weights not installed"

# Wang et al. 2004, section III.B: an 11x11 Gaussian window of 1.5 pixels, K1 = 0.01, K2 = 0.03, dynamic range
# 1.
SSIM_WINDOW_RADIUS = 5
SSIM_WINDOW_SIGMA = 1.5
SSIM_C1 = 0.01**2
SSIM_C2 = 0.03**2


@dataclass(frozen=True)
class DepthErrors:
    """How far a depth map is from the truth, over the pixels where both know a depth.

    Attributes:
        absolute_relative: mean of |depth - truth| / truth.
        rmse: root of the mean squared error, in scene units.
        inlier_share: share of the compared pixels whose relative error is below the threshold.
        coverage: share of the pixels with true depth for which a depth was given at all.
    """

    absolute_relative: float
    rmse: float
    inlier_share: float
    coverage: float


def psnr(image: Float[ndarray, "H W ..."], truth: Float[ndarray, "H W ..."]) -> float:
    """Return the peak signal-to-noise ratio in dB over pixels and channels; infinite for equal pictures."""
    _check_pair(image, truth)
    return _decibels(_squared_error(image, truth).mean())


def masked_psnr(
    image: Float[ndarray, "H W ..."], truth: Float[ndarray, "H W ..."], mask: Bool[ndarray, "H W"]
) -> float | None:
    """Return the PSNR in dB over the mask's pixels only, or None when the mask is empty.

    Source: PSNR-M of the SpaRe benchmark; the masked PSNR of RegNeRF's DTU protocol is the same number.
    """
    _check_pair(image, truth, mask)
    if not mask.any():
        return None
    return _decibels(_squared_error(image, truth)[mask].mean())


def ssim(
    image: Float[ndarray, "H W ..."],
    truth: Float[ndarray, "H W ..."],
    *,
    mask: Bool[ndarray, "H W"] | None = None,
    padding: Padding = "zero",
) -> float | None:
    """Return the mean structural similarity with an 11x11 Gaussian window of sigma 1.5, over all channels.

    Args:
        mask: pixels that count. The others are treated as if they lay outside of the picture.
        padding: what happens where the window leaves the picture. "zero" pads with zeros and averages over
            every pixel: the definition of 3D Gaussian splatting and of its successors' tables. "valid"
            averages over the pixels whose whole window lies inside, as Wang et al. and scikit-image do.
            "reflect" mirrors the picture and averages over every pixel, as torchmetrics does. They differ by
            up to about 0.01.

    Returns:
        The mean, or None when no pixel counts (an empty mask, or "valid" on a picture smaller than the
        window).

    Source: Wang et al., "Image quality assessment: from error visibility to structural similarity", 2004,
    equation 13.
    """
    values, counted = _ssim_map(image, truth, mask, padding)
    if not counted.any():
        return None
    return float(values[counted].mean())


def gradient_error(
    image: Float[ndarray, "H W ..."],
    truth: Float[ndarray, "H W ..."],
    *,
    mask: Bool[ndarray, "H W"] | None = None,
) -> float | None:
    """Return the mean absolute difference of the horizontal and vertical forward differences.

    It is small for a render that is off by a constant and grows with blur and with false edges, both of which
    PSNR hides in smooth regions.

    Returns:
        The mean over channels and both directions, or None when no pair of neighbouring pixels counts.
    """
    _check_pair(image, truth, mask)
    residual = np.asarray(image, np.float64) - np.asarray(truth, np.float64)
    counted = np.ones(residual.shape[:2], bool) if mask is None else mask
    horizontal = np.diff(residual, axis=1)[counted[:, 1:] & counted[:, :-1]]
    vertical = np.diff(residual, axis=0)[counted[1:] & counted[:-1]]
    count = horizontal.size + vertical.size
    if count == 0:
        return None
    return float((np.abs(horizontal).sum() + np.abs(vertical).sum()) / count)


def average_error(psnr: float, ssim: float, lpips: float | None) -> float | None:
    """Return the geometric mean of 10^(-PSNR / 10), sqrt(1 - SSIM) and LPIPS, or None without LPIPS.

    Source: Niemeyer et al., "RegNeRF", CVPR 2022, section 4 ("average" column).
    """
    if lpips is None:
        return None
    terms = (10.0 ** (-psnr / 10.0), math.sqrt(max(0.0, 1.0 - ssim)), lpips)
    if min(terms) <= 0.0:
        return 0.0
    return math.exp(sum(math.log(term) for term in terms) / 3.0)


def depth_errors(
    depth: Float[ndarray, "H W"],
    truth: Float[ndarray, "H W"],
    *,
    mask: Bool[ndarray, "H W"] | None = None,
    inlier_threshold: float = 0.01,
) -> DepthErrors | None:
    """Compare z-depth maps in the same scene units; what is not positive and finite is unknown.

    Nothing is aligned: posed reconstruction knows the scale, so a wrong scale is an error like any other.

    Args:
        inlier_threshold: relative error below which a pixel is an inlier.

    Returns:
        The errors, or None when no pixel has both depths.
    """
    _check_pair(depth, truth, mask)
    depth, truth = np.asarray(depth, np.float64), np.asarray(truth, np.float64)
    known = np.isfinite(truth) & (truth > 0)
    if mask is not None:
        known &= mask
    compared = known & np.isfinite(depth) & (depth > 0)
    if not compared.any():
        return None
    error = np.abs(depth[compared] - truth[compared])
    relative = error / truth[compared]
    return DepthErrors(
        absolute_relative=float(relative.mean()),
        rmse=float(np.sqrt((error**2).mean())),
        inlier_share=float((relative < inlier_threshold).mean()),
        coverage=float(compared.sum() / known.sum()),
    )


def tight_box(mask: Bool[ndarray, "H W"]) -> tuple[slice, slice] | None:
    """Return the rows and columns of the smallest box that holds the mask, or None when the mask is empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if rows.size == 0:
        return None
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _squared_error(image: ndarray, truth: ndarray) -> ndarray:
    return (np.asarray(image, np.float64) - np.asarray(truth, np.float64)) ** 2


def _decibels(mean_squared_error: float) -> float:
    return math.inf if mean_squared_error == 0 else float(-10.0 * np.log10(mean_squared_error))


def _ssim_map(
    image: ndarray, truth: ndarray, mask: ndarray | None, padding: Padding
) -> tuple[Float[ndarray, "H W C"], Bool[ndarray, "H W"]]:
    """Return SSIM per pixel and channel, and which pixels count."""
    from scipy.ndimage import binary_erosion

    _check_pair(image, truth, mask)
    if padding not in ("zero", "valid", "reflect"):
        raise ValueError(f'ssim: padding must be "zero", "valid" or "reflect", got {padding!r}')
    a, b = (np.asarray(x, np.float64).reshape(*x.shape[:2], -1) for x in (image, truth))
    counted = np.ones(a.shape[:2], bool) if mask is None else np.asarray(mask, bool)
    if mask is not None:
        a, b = a * counted[..., None], b * counted[..., None]
    if padding == "valid":
        window = np.ones((2 * SSIM_WINDOW_RADIUS + 1, 1), bool)
        # Outside of the picture counts as false, so this also removes the border.
        counted = binary_erosion(binary_erosion(counted, window), window.T)

    mean_a, mean_b = _blur(a, padding), _blur(b, padding)
    variance_a = _blur(a * a, padding) - mean_a**2
    variance_b = _blur(b * b, padding) - mean_b**2
    covariance = _blur(a * b, padding) - mean_a * mean_b
    numerator = (2 * mean_a * mean_b + SSIM_C1) * (2 * covariance + SSIM_C2)
    denominator = (mean_a**2 + mean_b**2 + SSIM_C1) * (variance_a + variance_b + SSIM_C2)
    return numerator / denominator, counted


def _blur(image: Float[ndarray, "H W C"], padding: Padding) -> Float[ndarray, "H W C"]:
    """Filter with the SSIM window."""
    from scipy.ndimage import correlate1d

    offsets = np.arange(-SSIM_WINDOW_RADIUS, SSIM_WINDOW_RADIUS + 1)
    window = np.exp(-0.5 * (offsets / SSIM_WINDOW_SIGMA) ** 2)
    window /= window.sum()
    # scipy calls "mirror" what torch and numpy call "reflect": the edge pixel itself is not repeated.
    mode = "mirror" if padding == "reflect" else "constant"
    return correlate1d(correlate1d(image, window, axis=0, mode=mode), window, axis=1, mode=mode)


def _check_pair(image: ndarray, truth: ndarray, mask: ndarray | None = None) -> None:
    if image.shape != truth.shape or image.ndim not in (2, 3):
        raise ValueError(
            f"expected two pictures [H, W] or [H, W, C] of one shape, got {image.shape} and {truth.shape}"
        )
    if mask is not None and (mask.shape != image.shape[:2] or mask.dtype != np.bool_):
        raise ValueError(f"expected a bool mask of shape {image.shape[:2]}, got {mask.dtype} {mask.shape}")
