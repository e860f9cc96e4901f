"""Warping photos forward into another camera by their depth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from recon.scene import Camera, View

FRONT_TOLERANCE = 0.02
"""Points within this fraction behind the nearest one at a pixel are blended with it, others are hidden."""
FULL_COVERAGE = 0.5
"""Bilinear weight from which a pixel counts as seen (ours: half a photo pixel lands there)."""


def forward_warp(
    camera: Camera,
    views: Sequence[View],
    depths: Sequence[Float[np.ndarray, "H W"]],
    confidences: Sequence[Float[np.ndarray, "H W"]],
) -> tuple[Float[Tensor, "H W 3"], Float[Tensor, "H W"]]:
    """Splat the photos' pixels into `camera`, nearest surface first.

    Args:
        camera: where to look from.
        views: the photos.
        depths: per photo, z with 0 = unknown.
        confidences: per photo, weight of each pixel in [0, 1].

    Returns:
        The warped colours and the coverage in {0, 1}; uncovered pixels are black.

    Source: MVPGS (Xu et al. 2024), section 3.4; the soft z-buffer is replaced by a hard one with a tolerance.
    """
    pixels, z, colors, weights = _collect(camera, views, depths, confidences)
    corner = torch.floor(pixels - 0.5)
    fraction = pixels - 0.5 - corner
    size = camera.width * camera.height

    footprints = []
    for dx in (0, 1):
        for dy in (0, 1):
            x, y = corner[:, 0] + dx, corner[:, 1] + dy
            share = (fraction[:, 0] if dx else 1 - fraction[:, 0]) * (
                fraction[:, 1] if dy else 1 - fraction[:, 1]
            )
            inside = (x >= 0) & (x < camera.width) & (y >= 0) & (y < camera.height) & (share > 0.05)
            footprints.append(((y * camera.width + x).long(), share, inside))

    front = torch.full((size,), torch.inf)
    for index, _, inside in footprints:
        front.scatter_reduce_(0, index[inside], z[inside], "amin")
    total = torch.zeros(size)
    color = torch.zeros(size, 3)
    for index, share, inside in footprints:
        near = inside.clone()
        near[inside] = z[inside] <= front[index[inside]] * (1 + FRONT_TOLERANCE)
        weight = share[near] * weights[near]
        total.index_add_(0, index[near], weight)
        color.index_add_(0, index[near], weight[:, None] * colors[near])
    covered = total >= FULL_COVERAGE * 0.5
    image = torch.where(covered[:, None], color / total.clamp(min=1e-6)[:, None], 0.0)
    shape = (camera.height, camera.width)
    return image.reshape(*shape, 3), covered.float().reshape(shape)


def _collect(
    camera: Camera, views: Sequence[View], depths: Sequence[np.ndarray], confidences: Sequence[np.ndarray]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Project every pixel that has a depth; returns positions, depths, colours and weights of those in front."""
    parts = []
    for view, depth, confidence in zip(views, depths, confidences, strict=True):
        known = (depth > 0) & (confidence > 0)
        points = view.camera.unproject(view.camera.pixel_centers()[known], depth[known])
        pixels, z = camera.project(points)
        front = z > 1e-6
        parts.append((pixels[front], z[front], view.image[known][front], confidence[known][front]))
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    pixels, z, colors, weights = (torch.as_tensor(column, dtype=torch.float32) for column in columns)
    return pixels, z, colors, weights
