"""How far a novel view may be trusted: what is drawn, against what the photos show of the same places.

A splat reproduces its few input photos almost perfectly, right or wrong, so it cannot be judged there. In another view
it can: every pixel drawn has a depth, and the photos that see that point say what colour it should have. Where
they say something else, either the depth or the blend of Gaussians that makes the pixel is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import avg_pool2d, grid_sample, pad

from recon.ops import Rasterization
from recon.scene import Camera, View
from recon.splats.gaussians import Gaussians
from recon.splats.render import camera_tensors, render

SAME_DEPTH = 0.03
"""A photo whose own depth differs by this share counts e times less: it sees something else there."""

UNSEEN = 0.1
"""Expected error where no photo sees the place: 0.07 to 0.18 was measured there on fern, scan65 and a drawn table."""

UNSEEN_WEIGHT = 0.05
"""Weight of `UNSEEN` beside the photos' weights, which are 1 where the depths agree."""

CONTRAST = 0.03
CONTRAST_POWER = 0.3
"""A busy neighbourhood errs more than a flat one, where a wrong place has the right colour all the same: the error
grows with this power of the mean difference of neighbouring pixels, and is left as it is where that is `CONTRAST`."""

FLAT = 0.003
"""Contrast below this, less than a level of 255, counts as this much."""

FULL_TRUST_ERROR = 0.1
"""Confidence falls to 1/e at this expected error."""


@dataclass(frozen=True, eq=False)
class Witness:
    """An input photo, and the depth that the splat has there.

    Attributes:
        photo: [H, W, 3] sRGB in [0, 1].
        depth: [H, W] z in scene units, 0 where unknown.
    """

    camera: Camera
    photo: Float[Tensor, "H W 3"]
    depth: Float[Tensor, "H W"]


def witnesses(gaussians: Gaussians, views: Sequence[View]) -> list[Witness]:
    """Return the input photos with the splat's depth in each.

    Args:
        views: the input photos, never held-out ones.
    """
    return [
        Witness(
            view.camera,
            torch.as_tensor(view.image),
            _known_depth(render(gaussians, view.camera, outputs=("color", "depth"))),
        )
        for view in views
    ]


@torch.no_grad()
def expected_error(
    picture: Rasterization, camera: Camera, inputs: Sequence[Witness], *, known_background: bool = False
) -> Float[Tensor, "H W"]:
    """Return how wrong each pixel of a drawn view may be: the mean absolute colour difference to be expected.

    The mean of two numbers, smoothed over 3x3 pixels: the difference to the photos that see the point, weighted by how
    well their depths agree, and the smallest difference to any photo. Then more where the picture is busy, and less
    where it is flat. Its rank correlation with the true error is stronger than that of coverage, of opacity or of the
    spread under random dropout (docs/results.md).

    Args:
        picture: rendered with outputs "color" and "depth", over the scene's background where that is known.
        camera: that it was drawn for.
        known_background: what shows through is known to be right, as behind cut-out objects.
    """
    points, depth = _points(picture, camera)
    height, width = depth.shape
    weighted = picture.color.new_full((height, width), UNSEEN_WEIGHT * UNSEEN)
    weights = picture.color.new_full((height, width), UNSEEN_WEIGHT)
    smallest = picture.color.new_full((height, width), UNSEEN)
    for witness in inputs:
        difference, weight = _testimony(picture.color, points, depth, witness)
        weighted += weight * difference
        weights += weight
        smallest = torch.where(weight > 0, torch.minimum(smallest, difference), smallest)
    error = _smoothed(0.5 * (weighted / weights + smallest), 3)
    error = error * (_contrast(picture.color).clamp(min=FLAT) / CONTRAST) ** CONTRAST_POWER
    return error * picture.alpha if known_background else error


def view_confidence(error: Float[Tensor, "H W"]) -> Float[Tensor, "H W"]:
    """Return the confidence in [0, 1] that stands for an expected error; it falls as the error grows."""
    return torch.exp(-error / FULL_TRUST_ERROR)


def _points(picture: Rasterization, camera: Camera) -> tuple[Float[Tensor, "H W 3"], Float[Tensor, "H W"]]:
    """Return the world point that each pixel shows, and its depth, 0 where nothing was drawn."""
    depth = _known_depth(picture)
    pose, (fx, fy, cx, cy) = camera_tensors(camera, depth.device)
    height, width = depth.shape
    rows = torch.arange(height, device=depth.device, dtype=depth.dtype) + 0.5
    columns = torch.arange(width, device=depth.device, dtype=depth.dtype) + 0.5
    v, u = torch.meshgrid(rows, columns, indexing="ij")
    seen = torch.stack([(u - cx) / fx * depth, (v - cy) / fy * depth, depth], -1)
    return (seen - pose[:3, 3]) @ pose[:3, :3], depth


def _testimony(
    color: Float[Tensor, "H W 3"],
    points: Float[Tensor, "H W 3"],
    depth: Float[Tensor, "H W"],
    witness: Witness,
) -> tuple[Float[Tensor, "H W"], Float[Tensor, "H W"]]:
    """Return how much a photo's colours differ from those drawn, and how far it sees the same place, 0 to 1."""
    camera = witness.camera
    pose, (fx, fy, cx, cy) = camera_tensors(camera, points.device)
    x, y, z = (points @ pose[:3, :3].T + pose[:3, 3]).unbind(-1)
    ahead = (z > 0) & (depth > 0)
    z = torch.where(ahead, z, 1.0)
    u, v = x / z * fx + cx, y / z * fy + cy
    inside = ahead & (u > 0) & (u < camera.width) & (v > 0) & (v < camera.height)
    grid = torch.stack([2 * u / camera.width - 1, 2 * v / camera.height - 1], -1)[None]
    there = torch.cat([witness.photo, witness.depth[..., None]], -1).to(points.device)
    found = grid_sample(there.permute(2, 0, 1)[None], grid, padding_mode="border", align_corners=False)[0]
    difference = (found[:3].permute(1, 2, 0) - color).abs().mean(-1)
    apart = (found[3] - z).abs() / z
    return difference, torch.where(inside, torch.exp(-apart / SAME_DEPTH), 0.0)


def _known_depth(picture: Rasterization) -> Float[Tensor, "H W"]:
    if picture.depth is None:
        raise ValueError("the picture must be rendered with the output 'depth'")
    return picture.depth.nan_to_num(0.0)


def _contrast(color: Float[Tensor, "H W 3"]) -> Float[Tensor, "H W"]:
    """Return the mean difference of neighbouring pixels within 7x7."""
    steps = torch.zeros_like(color[..., 0])
    steps[:, 1:] += (color[:, 1:] - color[:, :-1]).abs().mean(-1)
    steps[1:] += (color[1:] - color[:-1]).abs().mean(-1)
    return _smoothed(steps, 7)


def _smoothed(values: Float[Tensor, "H W"], size: int) -> Float[Tensor, "H W"]:
    """Average over size x size pixels, repeating the edge."""
    beside = size // 2
    padded = pad(values[None, None], (beside, beside, beside, beside), mode="replicate")
    return avg_pool2d(padded, size, stride=1)[0, 0]
