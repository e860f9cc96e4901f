"""Filling what no Gaussian covers: pictures from between the photos are repaired and their holes become Gaussians."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray

from recon.coherence.gaussians import footprint
from recon.priors.repair import RepairPrior
from recon.scene import Camera
from recon.splats import Gaussians
from recon.splats.gaussians import SH_C0
from recon.splats.render import render

BEHIND = 1.03
"""Filled Gaussians lie this much behind the surface they continue, so that they hide nothing that a photo shows."""
RIM = 4
"""A hole opens onto what lies behind something: it continues the farthest depth within so many pixels of its rim."""
FULL = 0.9
"""What shows through less accumulated opacity than this is background, and gets something behind it: seams and rims of
surfaces as well as holes. Filled Gaussians lie behind, so what is there stays in front."""
OPACITY = 0.9
MINIMUM_PIXELS = 4
"""Smaller holes are left alone: they are gaps between neighbours, not unseen places."""


def widened(camera: Camera, margin: float) -> Camera:
    """Return the camera with a picture that reaches further by a share of its size on every side."""
    x, y = round(margin * camera.width), round(margin * camera.height)
    return replace(
        camera,
        cx=camera.cx + x,
        cy=camera.cy + y,
        width=camera.width + 2 * x,
        height=camera.height + 2 * y,
    )


def fill_holes(gaussians: Gaussians, cameras: Sequence[Camera], repair: RepairPrior) -> tuple[Gaussians, int]:
    """Add Gaussians where the cameras see holes.

    Camera by camera: render, find the holes and thin places by accumulated opacity, let the prior repair the picture,
    and put one Gaussian of the repaired colour on the ray of every pixel of a hole. What is filled for one camera is
    there for the next.

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
        hole = (picture.alpha < FULL).cpu().numpy()
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
    """Give every pixel of a hole the far depth of the nearest place on its rim; tiny holes are dropped."""
    from scipy.ndimage import distance_transform_edt, label, maximum_filter

    numbered, _ = label(hole, np.ones((3, 3), bool))
    kept = hole & (np.bincount(numbered.reshape(-1)) >= MINIMUM_PIXELS)[numbered]
    known = ~hole & (depth > 0)
    if not known.any():
        return depth, np.zeros_like(hole)
    far = maximum_filter(np.where(known, depth, 0), 2 * RIM + 1)
    row, column = distance_transform_edt(~known, return_distances=False, return_indices=True)
    return BEHIND * far[row, column], kept


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
