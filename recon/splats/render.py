"""Rendering a Gaussian scene through a camera."""

from __future__ import annotations

import torch
from torch import Tensor

from recon import ops
from recon.scene import Camera
from recon.splats.gaussians import Gaussians


def camera_tensors(camera: Camera, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor]:
    """Return a camera's pose [4, 4] and intrinsics [4] as float32 tensors."""
    pose = torch.as_tensor(camera.world_to_camera, dtype=torch.float32, device=device)
    intrinsics = torch.as_tensor(camera.intrinsics, dtype=torch.float32, device=device)
    return pose, intrinsics


@torch.no_grad()
def render(
    gaussians: Gaussians,
    camera: Camera,
    *,
    outputs: tuple[str, ...] = ("color",),
    background: Tensor | None = None,
    antialiased: bool = False,
) -> ops.Rasterization:
    """Render without gradients; see `ops.rasterize` for the outputs and their shapes."""
    world_to_camera, intrinsics = camera_tensors(camera, gaussians.means.device)
    return ops.rasterize(
        gaussians.means,
        gaussians.quaternions,
        gaussians.scales,
        gaussians.opacities,
        gaussians.sh,
        world_to_camera,
        intrinsics,
        camera.width,
        camera.height,
        background=background,
        outputs=outputs,
        antialiased=antialiased,
        near=camera.near,
    )
