"""Masked training: only the pixels that moving Gaussians cover, in blocks."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import interpolate, max_pool2d

from recon import ops
from recon.splats import Gaussians
from recon.train import TrainingView

COVERED = 0.5
"""Alpha above which moving Gaussians cover a pixel (QUEEN, section 3.4)."""


@torch.no_grad()
def dynamic_pixels(moving: Gaussians, view: TrainingView, block: int) -> Bool[Tensor, "H W"]:
    """Return the blocks of a view's pixels of which moving Gaussians cover any, those in front of them left out.

    Source: QUEEN (Girish et al. 2024), section 3.4.
    """
    alpha = ops.rasterize(
        moving.means,
        moving.quaternions,
        moving.scales,
        moving.opacities,
        moving.sh[:, :1],
        view.world_to_camera,
        view.intrinsics,
        view.width,
        view.height,
        near=view.near,
    ).alpha
    covered = (alpha > COVERED).float()[None, None]
    blocks = max_pool2d(covered, block, ceil_mode=True)
    grown = interpolate(blocks, scale_factor=block, mode="nearest")
    return grown[0, 0, : view.height, : view.width] > 0


def masked_view(view: TrainingView, mask: Bool[Tensor, "H W"]) -> TrainingView | None:
    """Return the smallest part of a view that holds the mask, whose pixels alone count; None for an empty mask."""
    if not mask.any():
        return None
    rows, columns = (mask.any(dim=axis).nonzero()[:, 0] for axis in (1, 0))
    top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    part = (slice(top, bottom), slice(left, right))
    weight: Float[Tensor, "H W"] = mask.float() if view.weight is None else view.weight * mask
    return replace(
        view,
        image=view.image[part].contiguous(),
        intrinsics=view.intrinsics - view.intrinsics.new_tensor([0, 0, left, top]),
        weight=weight[part].contiguous(),
        depth=None,
        depth_weight=None,
    )
