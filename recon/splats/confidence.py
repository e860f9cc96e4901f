"""How well the input photos cover each Gaussian."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from recon import ops
from recon.ops.reference.rasterize import ALPHA_MIN, DILATION, project_covariance, rotation_matrices
from recon.scene import Camera
from recon.splats.gaussians import Gaussians
from recon.splats.render import camera_tensors

ENOUGH_VIEWS = 3
"""A Gaussian that as many photos see has confidence 1: two rays fix a point, the third would contradict a wrong one."""

SEEN_SHARE = 0.25
"""A photo counts in full when at least this share of the Gaussian reaches it.

Less than one, because neighbours on the same surface overlap: the median visible Gaussian of the bundled sample keeps
0.4 of its weight. What is truly hidden keeps next to nothing.
"""


@torch.no_grad()
def coverage_confidence(gaussians: Gaussians, cameras: Sequence[Camera]) -> Float[Tensor, N]:
    """Return how many of the input photos see each Gaussian, as a share of `ENOUGH_VIEWS`.

    A camera sees the share of a Gaussian that is left after occlusion and the picture's edges: its summed blending
    weight over the weight that it would have alone on an endless picture. Shares from `SEEN_SHARE` up count as one
    photo, smaller ones in proportion; the sum over the cameras is divided by `ENOUGH_VIEWS` and cut off at 1.

    This is coverage and nothing more: 0 means that no input photo shows the Gaussian, so that its place and colour are
    guessed; 1 means that at least three do. It is no probability of being right, and it was not calibrated against
    errors: a textureless wall that three photos show has 1 even where its depth is wrong.

    Args:
        cameras: of the input photos, not of held-out ones.

    Returns:
        [N] float32 in [0, 1].
    """
    seen = torch.zeros(len(gaussians))
    for camera in cameras:
        pose, intrinsics = camera_tensors(camera, gaussians.means.device)
        picture = ops.rasterize(
            gaussians.means,
            gaussians.quaternions,
            gaussians.scales,
            gaussians.opacities,
            gaussians.sh[:, :1],
            pose,
            intrinsics,
            camera.width,
            camera.height,
            outputs=("contribution",),
            near=camera.near,
        )
        alone = _weight_alone(gaussians, pose, intrinsics, camera.width, camera.height)
        share = (picture.contribution / alone.clamp(min=1e-12)).where(alone > 0, 0.0)
        seen += (share / SEEN_SHARE).clamp(0, 1).cpu()
    return (seen / ENOUGH_VIEWS).clamp(max=1)


def _weight_alone(
    gaussians: Gaussians, pose: Float[Tensor, "4 4"], intrinsics: Float[Tensor, 4], width: int, height: int
) -> Float[Tensor, N]:
    """Return each Gaussian's blending weight, summed over the pixels of an endless picture with nothing in front.

    The integral over the part of o exp(-q/2) that lies above the rasterizer's threshold t is 2 pi sqrt(det) (o - t).
    """
    rotation, translation = pose[:3, :3], pose[:3, 3]
    points = gaussians.means @ rotation.T + translation
    points = torch.where(points[:, 2:] > 0, points, points.new_tensor([0.0, 0.0, 1.0]))
    axes = rotation @ (rotation_matrices(gaussians.quaternions) * gaussians.scales[:, None, :])
    covariance, _ = project_covariance(axes, points, intrinsics, width, height)
    a, b, c = covariance[:, 0] + DILATION, covariance[:, 1], covariance[:, 2] + DILATION
    above = (gaussians.opacities - ALPHA_MIN).clamp(min=0)
    return 2 * math.pi * (a * c - b * b).clamp(min=0).sqrt() * above
