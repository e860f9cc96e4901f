"""Virtual views: pictures from cameras between and a little beyond the inputs, made by warping the photos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from scipy.spatial.transform import Rotation
from torch import Tensor

from recon import ops
from recon.scene import Camera, View
from recon.splats.render import camera_tensors
from recon.stereo import PointCloud
from recon.train import TrainingView


@dataclass(frozen=True)
class VirtualViewSettings:
    """Forward-warped virtual views (MVPGS, section 3.4), with poses beyond the inputs' hull."""

    count: int = 36
    """Number of virtual views; fewer where pictures are large, see `MAX_PIXELS`. 0 for none."""
    beyond: float = 1.3
    """How far the cameras spread about the inputs' centre: 1 stays within their hull."""
    minimum_confidence: float = 0.0
    """Stereo points below this confidence are not warped."""
    minimum_coverage: float = 0.3
    """Views of which less than this share is covered by warped pixels are not used."""


MAX_PIXELS = 24_000_000
"""Upper limit on the pixels of all virtual views together: 0.4 GB of float32 colour and weight."""
NEIGHBORS = 3
"""Each virtual camera mixes this many neighbouring inputs."""
POINT_DEVIATION = 0.5
"""Standard deviation of a warped photo pixel, in its own footprint: neighbours just close the surface."""
POINT_OPACITY = 0.95
"""One pixel nearly hides what lies behind it."""
COVERED = 0.6
"""Pixels with at least this much accumulated opacity count as covered."""


def virtual_cameras(
    cameras: Sequence[Camera], count: int, beyond: float, random: np.random.Generator
) -> list[Camera]:
    """Mix neighbouring input cameras at random; positions are spread by `beyond` about the neighbours' mean."""
    centers = np.stack([camera.center for camera in cameras])
    rotations = Rotation.from_matrix(np.stack([camera.world_to_camera[:3, :3] for camera in cameras]))
    result = []
    for _ in range(count):
        anchor = int(random.integers(len(cameras)))
        near = np.argsort(np.linalg.norm(centers - centers[anchor], axis=1))[:NEIGHBORS]
        weights = random.dirichlet(np.ones(len(near)))
        mean = centers[near].mean(axis=0)
        center = mean + beyond * (weights @ centers[near] - mean)
        result.append(_camera_at(cameras[anchor], rotations[near].mean(weights).as_matrix(), center))
    return result


def virtual_views(
    views: Sequence[View],
    points: PointCloud,
    settings: VirtualViewSettings,
    seed: int,
    device: torch.device | str = "cpu",
) -> list[TrainingView]:
    """Warp the photos' pixels (the stereo points) into virtual cameras; coverage becomes the pixels' weight."""
    if settings.count == 0:
        return []
    pixels = views[0].camera.width * views[0].camera.height
    count = min(settings.count, max(1, MAX_PIXELS // pixels))
    random = np.random.default_rng(seed)
    trusted = points[points.confidence >= settings.minimum_confidence]
    result = []
    for i, camera in enumerate(
        virtual_cameras([view.camera for view in views], count, settings.beyond, random)
    ):
        pose, intrinsics = camera_tensors(camera, device)
        image, coverage = _warp(trusted, pose, intrinsics, camera, device)
        if float(coverage.mean()) >= settings.minimum_coverage:
            result.append(
                TrainingView(
                    f"virtual {i}", image, pose, intrinsics, weight=coverage, near=camera.near, virtual=True
                )
            )
    return result


@torch.no_grad()
def _warp(
    points: PointCloud, pose: Tensor, intrinsics: Tensor, camera: Camera, device: torch.device | str
) -> tuple[Float[Tensor, "H W 3"], Float[Tensor, "H W"]]:
    """Draw the points as small opaque discs; returns colour where covered (else black) and coverage in {0, 1}."""
    count = len(points)
    deviation = torch.as_tensor(points.radii * POINT_DEVIATION, device=device)
    picture = ops.rasterize(
        torch.as_tensor(points.positions, device=device),
        torch.tensor([1.0, 0, 0, 0], device=device).expand(count, 4).contiguous(),
        deviation[:, None].expand(count, 3).contiguous(),
        torch.full((count,), POINT_OPACITY, device=device),
        None,
        pose,
        intrinsics,
        camera.width,
        camera.height,
        colors=torch.as_tensor(points.colors, device=device),
        near=camera.near,
    )
    covered = picture.alpha >= COVERED
    color = picture.color / picture.alpha.clamp(min=1e-6)[..., None]
    return torch.where(covered[..., None], color, 0.0), covered.float()


def _camera_at(like: Camera, rotation: Float[ndarray, "3 3"], center: Float[ndarray, " 3"]) -> Camera:
    world_to_camera = np.eye(4)
    world_to_camera[:3, :3] = rotation
    world_to_camera[:3, 3] = -rotation @ center
    return like.moved(world_to_camera)
