"""Filling what no Gaussian covers: pictures from between the photos are repaired and their holes become Gaussians."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray

from recon.coherence.gaussians import footprint
from recon.priors.repair import RepairPrior
from recon.scene import Camera
from recon.splats import Gaussians
from recon.splats.coverage import COVERED
from recon.splats.gaussians import SH_C0
from recon.splats.render import render

BEHIND = 1.03
"""Filled Gaussians lie this much behind the surface they continue, so that they hide nothing that a photo shows."""
FAR_PERCENTILE = 80
"""A hole opens onto what lies behind something: it takes this percentile of the depths on its rim."""
RIM = 4
"""Pixels around a hole that count as its rim."""
OPACITY = 0.9
MINIMUM_PIXELS = 4
"""Smaller holes are left alone: they are gaps between neighbours, not unseen places."""


def fill_holes(gaussians: Gaussians, cameras: Sequence[Camera], repair: RepairPrior) -> tuple[Gaussians, int]:
    """Add Gaussians where the cameras see holes.

    Camera by camera: render, find the holes by accumulated opacity, let the prior repair the picture, and put one
    Gaussian of the repaired colour on the ray of every pixel of a hole. What is filled for one camera is there for the
    next.

    Args:
        cameras: novel views, such as between the photos.

    Returns:
        The Gaussians with the added ones last, and the number added.

    Source: CoherentGS (inpainting); its release has no code for it.
    """
    before = len(gaussians)
    for camera in cameras:
        picture = render(gaussians, camera, outputs=("color", "depth"))
        assert picture.depth is not None
        hole = (picture.alpha < COVERED).cpu().numpy()
        if not hole.any() or hole.all():
            continue
        depth, hole = _depth_behind(picture.depth.cpu().numpy(), hole)
        if not hole.any():
            continue
        color = (picture.color / picture.alpha.clamp(min=1e-6)[..., None]).clamp(0, 1).cpu().numpy()
        repaired = repair(np.where(hole[..., None], 0, color).astype(np.float32), hole)
        gaussians = Gaussians.concatenate([gaussians, _on_rays(gaussians, camera, repaired, depth, hole)])
    return gaussians, len(gaussians) - before


def _depth_behind(
    depth: Float[ndarray, "H W"], hole: Bool[ndarray, "H W"]
) -> tuple[Float[ndarray, "H W"], Bool[ndarray, "H W"]]:
    """Give every hole the far depth of its rim; holes that are tiny or have no rim are dropped."""
    from scipy.ndimage import binary_dilation, find_objects, label

    numbered, _ = label(hole, np.ones((3, 3), bool))
    behind, kept = np.zeros_like(depth), np.zeros_like(hole)
    for number, box in enumerate(find_objects(numbered), start=1):
        wider = tuple(slice(max(0, s.start - RIM), s.stop + RIM) for s in box)
        own = numbered[wider] == number
        rim = binary_dilation(own, iterations=RIM) & ~hole[wider] & (depth[wider] > 0)
        if own.sum() < MINIMUM_PIXELS or not rim.any():
            continue
        behind[wider][own] = BEHIND * np.percentile(depth[wider][rim], FAR_PERCENTILE)
        kept[wider] |= own
    return behind, kept


def _on_rays(
    like: Gaussians,
    camera: Camera,
    color: Float[ndarray, "H W 3"],
    depth: Float[ndarray, "H W"],
    hole: Bool[ndarray, "H W"],
) -> Gaussians:
    pixels = camera.pixel_centers()[hole]
    count, device = len(pixels), like.means.device
    z = torch.as_tensor(depth[hole], dtype=torch.float32, device=device)
    sh = torch.zeros(count, like.sh.shape[1], 3, device=device)
    sh[:, 0] = (torch.as_tensor(color[hole], dtype=torch.float32, device=device) - 0.5) / SH_C0
    opacity = torch.full((count,), OPACITY, device=device)
    return Gaussians(
        means=torch.as_tensor(camera.unproject(pixels, depth[hole]), dtype=torch.float32, device=device),
        log_scales=footprint(z, camera.fx).log()[:, None].repeat(1, 3),
        quaternions=torch.tensor([1.0, 0, 0, 0], device=device).repeat(count, 1),
        opacity_logits=torch.logit(opacity),
        sh=sh,
    )
