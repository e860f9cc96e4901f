"""The torch twin of `recon.ops.l1_ssim`."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

RADIUS = 5
SIGMA = 1.5
C1 = 0.01**2
C2 = 0.03**2


def l1_ssim(
    image: Float[Tensor, "H W C"],
    target: Float[Tensor, "H W C"],
    mask: Float[Tensor, "H W"] | None = None,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Compare a picture with its target by mean absolute difference and mean structural similarity."""
    weights = torch.ones_like(image) if mask is None else mask[..., None].expand_as(image)
    total = weights.sum()
    scale = torch.where(total > 0, 1 / total, total)
    l1 = ((image - target).abs() * weights).sum() * scale
    ssim = (ssim_map(image, target) * weights).sum() * scale
    return l1, ssim


def ssim_map(image: Float[Tensor, "H W C"], target: Float[Tensor, "H W C"]) -> Float[Tensor, "H W C"]:
    """Return the structural similarity of every pixel and channel (Wang et al. 2004, equation 13)."""
    mean_x, mean_y = blur(image), blur(target)
    variance_x = blur(image * image) - mean_x**2
    variance_y = blur(target * target) - mean_y**2
    covariance = blur(image * target) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)
    structure = (2 * covariance + C2) / (variance_x + variance_y + C2)
    return luminance * structure


def blur(image: Float[Tensor, "H W C"]) -> Float[Tensor, "H W C"]:
    """Filter every channel with the Gaussian window, zeros outside the picture."""
    offsets = torch.arange(-RADIUS, RADIUS + 1, dtype=image.dtype, device=image.device)
    window = torch.exp(-(offsets**2) / (2 * SIGMA**2))
    window = window / window.sum()
    channels = image.permute(2, 0, 1)[:, None]
    channels = F.conv2d(channels, window[None, None, :, None], padding=(RADIUS, 0))
    channels = F.conv2d(channels, window[None, None, None, :], padding=(0, RADIUS))
    return channels[:, 0].permute(1, 2, 0)
