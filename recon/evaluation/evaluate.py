"""Compare renders with photos, view by view, into the numbers of `metrics.json`."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from recon.errors import ReconError
from recon.evaluation.calibration import confidence_correlation, pixel_error
from recon.evaluation.metrics import (
    average_error,
    depth_errors,
    gradient_error,
    masked_psnr,
    psnr,
    ssim,
    tight_box,
)
from recon.scene.camera import Camera
from recon.scene.view import View

if TYPE_CHECKING:
    from torch import Tensor

    from recon.evaluation.lpips import LPIPS

MaskedProtocol = Literal["box", "white"]

# JSON knows no infinity; equal pictures are written as this many dB.
HIGHEST_PSNR = 100.0

METRIC_DEFINITIONS: dict[str, str] = {
    "psnr": "PSNR in dB over all valid pixels and channels, higher is better; equal pictures count as 100",
    "ssim": "structural similarity, 11x11 Gaussian window, sigma 1.5, zero padding, higher is better",
    "lpips": "LPIPS v0.1 with the VGG-16 backbone, lower is better",
    "lpips_alex": "LPIPS v0.1 with the AlexNet backbone, lower is better",
    "average": "geometric mean of 10^(-PSNR/10), sqrt(1-SSIM) and LPIPS (VGG), lower is better",
    "gradient_error": "mean absolute difference of neighbouring-pixel differences, lower is better",
    "psnr_masked": "PSNR in dB over the pixels of the object mask",
    "ssim_masked": "SSIM on the object: in the tight box of its mask, or on a white background",
    "lpips_masked": "LPIPS (VGG) on the object: in the tight box of its mask, or on a white background",
    "lpips_alex_masked": "LPIPS (AlexNet) on the object, as lpips_masked",
    "average_masked": "geometric mean as average, of the PSNR, SSIM and LPIPS (VGG) on the object",
    "confidence_correlation": "rank correlation of each pixel's confidence with its true error, -1 is best",
    "depth_abs_rel": "mean of |depth - truth| / truth over pixels with both",
    "depth_rmse": "root mean squared depth error in scene units",
    "depth_inliers": "share of compared pixels within 1 % of the true depth",
    "depth_coverage": "share of pixels with true depth that were given a depth",
}


@dataclass(frozen=True, eq=False)
class Rendered:
    """What a model shows from a camera.

    Attributes:
        image: [H, W, 3] sRGB; values are clipped to [0, 1] before they are compared.
        depth: [H, W] z in scene units, 0 where unknown, when the model has one.
        expected_error: [H, W] mean absolute colour difference that the model expects of itself, when it does.
    """

    image: "Float[ndarray, 'H W 3'] | Tensor"
    depth: "Float[ndarray, 'H W'] | Tensor | None" = None
    expected_error: "Float[ndarray, 'H W'] | Tensor | None" = None


@dataclass(frozen=True)
class ViewMetrics:
    """Metrics of a set of views: a value is None where it could not be measured, never 0.

    Attributes:
        mean: metric name to the mean over the views that have it.
        per_image: view name to its metrics.
    """

    mean: dict[str, float | None]
    per_image: dict[str, dict[str, float | None]]

    def to_json(self) -> dict[str, Any]:
        """Return the block that stands under `test` and `train_views` in `metrics.json`."""
        return {**self.mean, "per_image": self.per_image}


def evaluate_views(
    views: Iterable[View],
    render: Callable[[Camera], Rendered],
    *,
    masked: MaskedProtocol | None = "box",
    lpips: "Mapping[str, LPIPS | None] | None" = None,
    depths: Mapping[str, Float[ndarray, "H W"]] | None = None,
    on_view: Callable[[View, Rendered], None] | None = None,
) -> ViewMetrics:
    """Render every view's camera and compare the result with the view's photo.

    Pixels outside of `View.valid` count nowhere: PSNR and SSIM leave them out, and for LPIPS, which knows no
    mask, the render gets the photo's value there.

    Args:
        masked: how views with an object mask are measured on the object, in addition: "box" as SpaRe does
            (PSNR on the mask, SSIM and LPIPS in its tight box), "white" as RegNeRF does on DTU (PSNR on the
            mask, SSIM and LPIPS after both pictures were put on white); None for not at all.
        lpips: loaded networks by backbone name ("vgg", "alex"), as `load_metric_networks` returns them.
        depths: true depth by view name, instead of the one that a view may carry.
        on_view: called with each view and its render, so that pictures can be written without rendering
            twice.

    Raises:
        ReconError: when a render has the wrong size or holds values that are not finite.
    """
    lpips, depths = lpips or {}, depths or {}
    per_image: dict[str, dict[str, float | None]] = {}
    for view in views:
        rendered = render(view.camera)
        true_depth = depths.get(view.name, view.depth)
        per_image[view.name] = _evaluate_view(view, rendered, masked, lpips, true_depth)
        if on_view is not None:
            on_view(view, rendered)
    _complete(per_image)
    return ViewMetrics(mean=mean_metrics(per_image), per_image=per_image)


def load_metric_networks(device: str = "cpu") -> "dict[str, LPIPS | None]":
    """Load the LPIPS networks whose weights are installed; the others are None."""
    from recon.evaluation.lpips import load_lpips

    return {"vgg": load_lpips("vgg", device=device), "alex": load_lpips("alex", device=device)}


def mean_metrics(per_image: Mapping[str, Mapping[str, float | None]]) -> dict[str, float | None]:
    """Return each metric's mean over the images that have it, None where none has."""
    means: dict[str, float | None] = {"psnr": None, "ssim": None, "lpips": None}
    for name in dict.fromkeys(name for metrics in per_image.values() for name in metrics):
        values = [metrics[name] for metrics in per_image.values() if metrics.get(name) is not None]
        means[name] = math.fsum(values) / len(values) if values else None  # type: ignore[arg-type]
    return means


def _evaluate_view(
    view: View,
    rendered: Rendered,
    masked: MaskedProtocol | None,
    lpips: "Mapping[str, LPIPS | None]",
    true_depth: ndarray | None,
) -> dict[str, float | None]:
    truth = view.image
    valid = view.valid
    image = np.clip(_checked(view, "image", rendered.image, truth.shape), 0.0, 1.0)
    if valid is not None:
        image = np.where(valid[..., None], image, truth)

    full = psnr(image, truth) if valid is None else masked_psnr(image, truth, valid)
    similarity = ssim(image, truth, mask=valid)
    metrics: dict[str, float | None] = {
        "psnr": _finite(full),
        "ssim": similarity,
        **_lpips(lpips, image, truth, ""),
    }
    metrics["average"] = (
        None if full is None or similarity is None else average_error(full, similarity, metrics["lpips"])
    )
    metrics["gradient_error"] = gradient_error(image, truth, mask=valid)

    if masked is not None and view.mask is not None:
        mask = view.mask if valid is None else view.mask & valid
        metrics.update(_on_object(image, truth, mask, masked, lpips))
    if rendered.expected_error is not None:
        expected = _checked(view, "expected error", rendered.expected_error, truth.shape[:2])
        metrics["confidence_correlation"] = confidence_correlation(expected, pixel_error(image, truth), valid)
    if true_depth is not None and rendered.depth is not None:
        depth = _checked(view, "depth", rendered.depth, true_depth.shape)
        metrics.update(_depth(depth, true_depth, valid))
    return metrics


def _on_object(
    image: ndarray,
    truth: ndarray,
    mask: Bool[ndarray, "H W"],
    protocol: MaskedProtocol,
    lpips: "Mapping[str, LPIPS | None]",
) -> dict[str, float | None]:
    on_mask = masked_psnr(image, truth, mask)
    box = tight_box(mask)
    if box is None:
        unknown = {"psnr_masked": None, "ssim_masked": None, **_lpips({}, image, truth, "_masked")}
        return {**unknown, "average_masked": None}
    if protocol == "box":
        image, truth = image[box], truth[box]
    elif protocol == "white":
        image, truth = (np.where(mask[..., None], x, np.float32(1.0)) for x in (image, truth))
    else:
        raise ValueError(f'masked must be "box", "white" or None, got {protocol!r}')
    similarity = ssim(image, truth)
    distances = _lpips(lpips, image, truth, "_masked")
    average = None
    if on_mask is not None and similarity is not None:
        average = average_error(on_mask, similarity, distances["lpips_masked"])
    return {
        "psnr_masked": _finite(on_mask),
        "ssim_masked": similarity,
        **distances,
        "average_masked": average,
    }


def _lpips(
    networks: "Mapping[str, LPIPS | None]", image: ndarray, truth: ndarray, suffix: str
) -> dict[str, float | None]:
    values: dict[str, float | None] = {}
    for backbone, name in (("vgg", "lpips"), ("alex", "lpips_alex")):
        network = networks.get(backbone)
        usable = network is not None and network.accepts(*image.shape[:2])
        values[name + suffix] = network.compare(image, truth) if network is not None and usable else None
    return values


def _depth(depth: ndarray, truth: ndarray, valid: ndarray | None) -> dict[str, float | None]:
    errors = depth_errors(depth, truth, mask=valid)
    if errors is None:
        return dict.fromkeys(("depth_abs_rel", "depth_rmse", "depth_inliers", "depth_coverage"))
    return {
        "depth_abs_rel": errors.absolute_relative,
        "depth_rmse": errors.rmse,
        "depth_inliers": errors.inlier_share,
        "depth_coverage": errors.coverage,
    }


def _checked(view: View, what: str, array: Any, shape: tuple[int, ...]) -> ndarray:
    if hasattr(array, "detach"):
        array = array.detach().cpu().numpy()
    array = np.asarray(array)
    if array.shape != shape:
        raise ReconError(f"the {what} rendered for {view.name} has shape {array.shape}, expected {shape}")
    if not np.isfinite(array).all():
        raise ReconError(
            f"the {what} rendered for {view.name} holds NaN or infinite values: the model diverged, "
            "so there is nothing to measure; train again with a lower learning rate or another seed"
        )
    return array


def _finite(decibels: float | None) -> float | None:
    return None if decibels is None else min(decibels, HIGHEST_PSNR)


def _complete(per_image: dict[str, dict[str, float | None]]) -> None:
    """Give every image the same columns, in one order, with None where it has no value."""
    present = {name for metrics in per_image.values() for name in metrics}
    for name, metrics in per_image.items():
        per_image[name] = {column: metrics.get(column) for column in METRIC_DEFINITIONS if column in present}
