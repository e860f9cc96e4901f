"""Depth Anything V2 through `transformers`, from a local folder of weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from recon.errors import ReconError
from recon.scene import View
from recon.stereo import DepthMap
from recon.stereo.working_view import matchable

if TYPE_CHECKING:
    from torch.nn import Module

SHORT_SIDE = 518
PATCH = 14
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Preprocessing of Depth Anything V2 (Yang et al. 2024): short side 518, multiples of the patch, ImageNet colours."""
OFFSET = 0.2
"""Added to the normalised disparity before it is inverted, so that the far end stays finite (CoherentGS's release)."""
TRUSTED = 0.3
"""Stereo of this confidence fixes the scale and the offset."""
ENOUGH = 50
"""Trusted pixels needed to fix two numbers against outliers."""


@dataclass(frozen=True)
class DepthAnything:
    """Relative depth of a learned monocular model, brought to scene units by stereo.

    The model gives disparity d up to scale and offset; D = 1 / (d / max(d) + 0.2), and z = s D + o with s and o per
    photo that fit the trusted stereo depth in the least absolute sense.

    Attributes:
        folder: with config.json and model.safetensors, as `save_pretrained` writes them.
    """

    folder: Path

    def __call__(self, views: Sequence[View], stereo: Sequence[DepthMap]) -> list[Float[ndarray, "H W"]]:
        model = load_depth_anything(self.folder)
        return [
            _in_scene_units(view, _relative_depth(predict_disparity(model, view.image)), known)
            for view, known in zip(views, stereo, strict=True)
        ]


def load_depth_anything(folder: Path) -> Module:
    """Load the model from local files; nothing is downloaded and nothing is unpickled.

    Raises:
        ReconError: when `transformers` or the weights are missing or do not fit.
    """
    try:
        from transformers import DepthAnythingForDepthEstimation
    except ImportError:
        raise ReconError(
            "Depth Anything needs the package transformers: install recon with its extra, recon[priors]"
        ) from None
    for name in ("config.json", "model.safetensors"):
        if not (Path(folder) / name).is_file():
            raise ReconError(
                f"{folder} has no {name}; give the folder of a Depth Anything V2 model, downloaded beforehand"
            )
    try:
        model = DepthAnythingForDepthEstimation.from_pretrained(
            str(folder), local_files_only=True, use_safetensors=True
        )
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise ReconError(f"{folder} does not hold a usable Depth Anything model: {error}") from error
    return model.eval()


def predict_disparity(model: Module, image: Float[ndarray, "H W 3"]) -> Float[ndarray, "H W"]:
    """Return relative disparity at the photo's size, at least 0."""
    import torch

    height, width = image.shape[:2]
    scale = SHORT_SIDE / min(height, width)
    size = [max(PATCH, round(side * scale / PATCH) * PATCH) for side in (height, width)]
    pixels = (torch.as_tensor(image) - torch.tensor(MEAN)) / torch.tensor(DEVIATION)
    batch = pixels.permute(2, 0, 1)[None]
    with torch.no_grad():
        batch = torch.nn.functional.interpolate(batch, size, mode="bicubic", antialias=True)
        disparity = model(pixel_values=batch).predicted_depth[:, None]
        disparity = torch.nn.functional.interpolate(
            disparity, (height, width), mode="bilinear", align_corners=False
        )
    return disparity[0, 0].clamp(min=0).numpy()


def _relative_depth(disparity: Float[ndarray, "H W"]) -> Float[ndarray, "H W"]:
    return 1 / (disparity / max(float(disparity.max()), 1e-12) + OFFSET)


def _in_scene_units(view: View, relative: Float[ndarray, "H W"], stereo: DepthMap) -> Float[ndarray, "H W"]:
    trusted = (stereo.confidence >= TRUSTED) & (stereo.depth > 0)
    if trusted.sum() < ENOUGH:
        raise ReconError(
            f"stereo trusts {int(trusted.sum())} pixels of {view.name}, too few to bring learned depth to scale; add "
            "photos that overlap more"
        )
    scale, offset = fit_scale_and_offset(relative, stereo.depth, trusted)
    nearest = float(stereo.depth[trusted].min())
    depth = np.maximum(scale * relative + offset, 0.5 * nearest)
    return np.where(matchable(view), depth, 0).astype(np.float32)


def fit_scale_and_offset(
    relative: Float[ndarray, "H W"], depth: Float[ndarray, "H W"], where: Bool[ndarray, "H W"]
) -> tuple[float, float]:
    """Return s, o that minimise the mean of |s D + o - z| / z, by iteratively reweighted least squares."""
    x, z = relative[where].astype(np.float64), depth[where].astype(np.float64)
    weight = 1 / z
    scale, offset = 1.0, 0.0
    for _ in range(30):
        design = np.stack([x, np.ones_like(x)], axis=1) * weight[:, None]
        scale, offset = np.linalg.lstsq(design, z * weight, rcond=None)[0]
        error = np.abs(scale * x + offset - z) / z
        weight = 1 / z / np.sqrt(np.maximum(error, 1e-3))
    return float(scale), float(offset)
