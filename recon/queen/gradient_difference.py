"""Which Gaussians the next frame changes: the view-space gradient difference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from recon import ops
from recon.splats import Gaussians
from recon.train import TrainingView

MAD_TO_DEVIATION = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""


def gradient_difference(
    gaussians: Gaussians, before: Sequence[TrainingView], now: Sequence[TrainingView]
) -> Float[Tensor, " N"]:
    """Return how differently the two moments' photos would move each Gaussian of the earlier one.

    For each camera, the gradient with respect to the projected centres (pixels) of MSE(render, photo now) minus that of
    MSE(render, photo before); the norms are added over the cameras. What the earlier moment had not been fitted well
    cancels. The difference of the gradients is the gradient of the difference, so each camera is rendered once.

    Args:
        gaussians: of the earlier moment.
        before, now: the same cameras in the same order.

    Source: QUEEN (Girish et al. 2024), section 3.4.
    """
    total = torch.zeros(len(gaussians), device=gaussians.means.device)
    for earlier, later in zip(before, now, strict=True):
        offsets = torch.zeros(len(gaussians), 2, device=gaussians.means.device, requires_grad=True)
        picture = ops.rasterize(
            gaussians.means,
            gaussians.quaternions,
            gaussians.scales,
            gaussians.opacities,
            gaussians.sh,
            later.world_to_camera,
            later.intrinsics,
            later.width,
            later.height,
            screen_offsets=offsets,
            near=later.near,
        ).color
        difference = (picture - later.image).square() - (picture - earlier.image).square()
        difference.mean().backward()
        assert offsets.grad is not None
        total += offsets.grad.norm(dim=1)
    return total


def dynamic(difference: Float[Tensor, " N"], deviations: float) -> Bool[Tensor, " N"]:
    """Tell which Gaussians the next frame changes: those whose difference the noise of the still ones hardly reaches.

    Args:
        deviations: robust standard deviations above the median; both are those of the still ones as long as fewer than
            half of all move.
    """
    if len(difference) == 0:
        return torch.zeros_like(difference, dtype=torch.bool)
    median = difference.median()
    deviation = MAD_TO_DEVIATION * (difference - median).abs().median()
    return difference > median + deviations * deviation
