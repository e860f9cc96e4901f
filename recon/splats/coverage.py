"""Where a scene shows anything at all."""

from __future__ import annotations

import torch
from jaxtyping import Bool
from torch import Tensor

from recon.scene import Camera
from recon.splats.gaussians import Gaussians
from recon.splats.render import render

COVERED = 0.5
"""Pixels with at least this much accumulated opacity show the scene; others are holes."""


@torch.no_grad()
def coverage_mask(gaussians: Gaussians, camera: Camera) -> Bool[Tensor, "H W"]:
    """Return the pixels of a view that the Gaussians cover; the others are holes, which no photo says anything of."""
    return render(gaussians, camera).alpha >= COVERED
