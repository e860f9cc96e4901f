"""Virtual views: pictures from cameras between and a little beyond the inputs, made by warping the photos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from scipy.spatial.transform import Rotation

from recon.scene import Camera, View
from recon.splats.render import camera_tensors
from recon.stereo.warp import forward_warp
from recon.train import TrainingView


@dataclass(frozen=True)
class VirtualViewSettings:
    """Forward-warped virtual views (MVPGS, section 3.4), with poses beyond the inputs' hull."""

    count: int = 36
    """Number of virtual views; fewer where pictures are large, see `MAX_PIXELS`. 0 for none."""
    beyond: float = 1.3
    """How far the cameras spread about the inputs' centre: 1 stays within their hull."""
    minimum_coverage: float = 0.3
    """Views of which less than this share is covered by warped pixels are not used."""


MAX_PIXELS = 24_000_000
"""Upper limit on the pixels of all virtual views together: 0.4 GB of float32 colour and weight."""
NEIGHBORS = 3
"""Each virtual camera mixes this many neighbouring inputs."""


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
    depths: Sequence[Float[ndarray, "H W"]],
    confidences: Sequence[Float[ndarray, "H W"]],
    settings: VirtualViewSettings,
    seed: int,
    device: torch.device | str = "cpu",
) -> list[TrainingView]:
    """Warp the photos into virtual cameras; the coverage is each picture's pixel weight."""
    pixels = views[0].camera.width * views[0].camera.height
    count = min(settings.count, max(1, MAX_PIXELS // pixels)) if settings.count else 0
    random = np.random.default_rng(seed)
    result = []
    for i, camera in enumerate(
        virtual_cameras([view.camera for view in views], count, settings.beyond, random)
    ):
        image, coverage = forward_warp(camera, views, depths, confidences)
        if float(coverage.mean()) < settings.minimum_coverage:
            continue
        pose, intrinsics = camera_tensors(camera, device)
        result.append(
            TrainingView(
                name=f"virtual {i}",
                image=image.to(device),
                world_to_camera=pose,
                intrinsics=intrinsics,
                weight=coverage.to(device),
                virtual=True,
            )
        )
    return result


def _camera_at(like: Camera, rotation: Float[ndarray, "3 3"], center: Float[ndarray, 3]) -> Camera:
    world_to_camera = np.eye(4)
    world_to_camera[:3, :3] = rotation
    world_to_camera[:3, 3] = -rotation @ center
    return like.moved(world_to_camera)
