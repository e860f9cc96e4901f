"""How far a novel view may be trusted: what is drawn, against what the photos and the Gaussians say of it.

A splat reproduces its few input photos almost perfectly, right or wrong, so it cannot be judged there. In another view
it can. Every pixel drawn has a depth, and the photos show which colour that place should have. And every pixel is a
blend of Gaussians: those of a surface that was found have its colour each on its own, while those that only learned to
make up the input photos together fall apart when seen from elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import avg_pool2d, grid_sample, interpolate, normalize, pad

from recon import ops
from recon.ops import Rasterization
from recon.scene import Camera, View
from recon.splats.gaussians import SH_C0, Gaussians
from recon.splats.render import camera_tensors

UNSEEN = 0.1
"""Difference to a photo that does not show the place: errors of 0.07 to 0.18 were measured where none does. A photo
that differs by more counts as not seeing it, because something stands in front."""

MOST_PARALLAX = 0.5
"""Angle in radians between the rays of view and photo at which the photo's word alone is worth no more than that of
the next one; from the same direction it shows the same colour whatever the depth is."""

DROPOUT_SCALE = 4
"""Pictures with half of the Gaussians left out are drawn smaller by this: their noise has to be averaged anyway, and
two of them cost an eighth of a picture's pixels."""

DROPOUT_DRAWS = 2
"""How often the Gaussians are divided into halves, whose differences are averaged."""

SHOWS_THROUGH = 0.01
"""Disagreement of a pixel in which nothing was drawn: there may be nothing, as on black cloth, or a hole."""

NOTHING = 0.002
"""Half a level of 255: what is smaller says no more than 0."""

FULL_TRUST_ERROR = 0.1
"""Confidence falls to 1/e at this expected error."""


@dataclass(frozen=True, eq=False)
class Witness:
    """An input photo.

    Attributes:
        photo: [H, W, 3] sRGB in [0, 1].
    """

    camera: Camera
    photo: Float[Tensor, "H W 3"]


def witnesses(views: Sequence[View]) -> list[Witness]:
    """Return the input photos, to be asked about any view.

    Args:
        views: the input photos, never held-out ones.
    """
    return [Witness(view.camera, torch.as_tensor(view.image)) for view in views]


@torch.no_grad()
def expected_error(
    gaussians: Gaussians,
    picture: Rasterization,
    camera: Camera,
    inputs: Sequence[Witness],
    *,
    known_background: bool = False,
) -> Float[Tensor, "H W"]:
    """Return how wrong each pixel of a drawn view may be: the mean absolute colour difference to be expected.

    The geometric mean of two doubts, both and the mean smoothed over 3x3 pixels: how far the photos disagree with the
    colour (`photo_disagreement`), and how far the Gaussians that make the pixel disagree with one another
    (`blend_disagreement`). Either alone is blind to something: a Gaussian at a wrong depth agrees with the photo that
    it came from, and the blend at an edge in the texture is mixed although it is right. The rank correlation with the
    true error is stronger than that of either, of coverage or of opacity (docs/results.md).

    Args:
        gaussians: what was drawn.
        picture: rendered with outputs "color" and "depth", over the scene's background where that is known.
        camera: that it was drawn for.
        known_background: what shows through is known to be right, as behind cut-out objects.
    """
    photos = _smoothed(photo_disagreement(picture, camera, inputs), 3)
    blend = blend_disagreement(gaussians, camera) + SHOWS_THROUGH * (1 - picture.alpha)
    error = _smoothed(torch.sqrt((photos + NOTHING) * (blend + NOTHING)), 3)
    return error * picture.alpha if known_background else error


def view_confidence(error: Float[Tensor, "H W"]) -> Float[Tensor, "H W"]:
    """Return the confidence in [0, 1] that stands for an expected error; it falls as the error grows."""
    return torch.exp(-error / FULL_TRUST_ERROR)


def photo_disagreement(
    picture: Rasterization, camera: Camera, inputs: Sequence[Witness]
) -> Float[Tensor, "H W"]:
    """Return how far the colour drawn is from what the photos show of the same place, `UNSEEN` where none shows it.

    The difference to the photo that agrees best and that to the next one, mixed by parallax: seen along the same ray,
    one photo is proof; from far beside, the point may be anywhere on that photo's ray, and only a second one that
    agrees tells that it is in its place.
    """
    points, depth = _points(picture, camera)
    eye = torch.as_tensor(camera.center, device=points.device, dtype=points.dtype)
    towards_eye = normalize(eye - points, dim=-1)
    best = torch.full_like(depth, UNSEEN)
    second = best.clone()
    parallax = torch.full_like(depth, MOST_PARALLAX)
    for witness in inputs:
        difference = _difference(picture.color, points, depth, witness)
        center = torch.as_tensor(witness.camera.center, device=points.device, dtype=points.dtype)
        cosine = (normalize(center - points, dim=-1) * towards_eye).sum(-1)
        better = difference < best
        second = torch.where(better, best, torch.minimum(second, difference))
        parallax = torch.where(better, torch.acos(cosine.clamp(-1, 1)).clamp(max=MOST_PARALLAX), parallax)
        best = torch.where(better, difference, best)
    return torch.lerp(best, second, parallax)


def blend_disagreement(gaussians: Gaussians, camera: Camera) -> Float[Tensor, "H W"]:
    """Return how far the Gaussians that make a pixel differ in colour, and how far the pixel depends on each of them.

    The standard deviation of the colours blended, smoothed, plus the difference between the pictures of a random half
    of the Gaussians and of the other half, which also shows what lies hidden behind them. The draws are the same every
    time.

    Source: co-adaptation score under random dropout, "Quantifying and Alleviating Co-Adaptation in Sparse-View 3D
    Gaussian Splatting" (NeurIPS 2025).
    """
    return _smoothed(_color_spread(gaussians, camera), 3) + _dropout_difference(gaussians, camera)


def _color_spread(gaussians: Gaussians, camera: Camera) -> Float[Tensor, "H W"]:
    """Return the standard deviation, by blending weight, of the mean colours of the Gaussians in each pixel."""
    colors = (0.5 + SH_C0 * gaussians.sh[:, 0]).clamp(min=0)
    values = torch.cat([colors, colors**2], -1)
    pose, intrinsics = camera_tensors(camera, gaussians.means.device)
    blended = ops.rasterize(
        gaussians.means,
        gaussians.quaternions,
        gaussians.scales,
        gaussians.opacities,
        None,
        pose,
        intrinsics,
        camera.width,
        camera.height,
        colors=colors,
        features=values,
        outputs=("features",),
        near=camera.near,
    )
    assert blended.features is not None
    mean, square = blended.features[..., :3], blended.features[..., 3:]
    variance = square - mean**2 / blended.alpha.clamp(min=1e-3)[..., None]
    return variance.clamp(min=0).sqrt().mean(-1)


def _dropout_difference(gaussians: Gaussians, camera: Camera) -> Float[Tensor, "H W"]:
    """Return how far the pictures of a random half of the Gaussians and of the other half differ."""
    width, height = (-(-side // DROPOUT_SCALE) for side in (camera.width, camera.height))
    pose, intrinsics = camera_tensors(camera, gaussians.means.device)
    generator = torch.Generator().manual_seed(0)

    def picture(half: Gaussians) -> Float[Tensor, "h w 3"]:
        return ops.rasterize(
            half.means,
            half.quaternions,
            half.scales,
            half.opacities,
            half.sh,
            pose,
            intrinsics / DROPOUT_SCALE,
            width,
            height,
            near=camera.near,
        ).color

    difference = torch.zeros(height, width, device=pose.device)
    for _ in range(DROPOUT_DRAWS):
        drawn = (torch.rand(len(gaussians), generator=generator) > 0.5).to(pose.device)
        difference += (picture(gaussians[drawn]) - picture(gaussians[~drawn])).abs().mean(-1) / DROPOUT_DRAWS
    larger = interpolate(
        difference[None, None], scale_factor=DROPOUT_SCALE, mode="bilinear", align_corners=False
    )
    return larger[0, 0, : camera.height, : camera.width]


def _points(picture: Rasterization, camera: Camera) -> tuple[Float[Tensor, "H W 3"], Float[Tensor, "H W"]]:
    """Return the world point that each pixel shows, and its depth, 0 where nothing was drawn."""
    if picture.depth is None:
        raise ValueError("the picture must be rendered with the output 'depth'")
    depth = picture.depth.nan_to_num(0.0)
    pose, (fx, fy, cx, cy) = camera_tensors(camera, depth.device)
    height, width = depth.shape
    rows = torch.arange(height, device=depth.device, dtype=depth.dtype) + 0.5
    columns = torch.arange(width, device=depth.device, dtype=depth.dtype) + 0.5
    v, u = torch.meshgrid(rows, columns, indexing="ij")
    seen = torch.stack([(u - cx) / fx * depth, (v - cy) / fy * depth, depth], -1)
    return (seen - pose[:3, 3]) @ pose[:3, :3], depth


def _difference(
    color: Float[Tensor, "H W 3"],
    points: Float[Tensor, "H W 3"],
    depth: Float[Tensor, "H W"],
    witness: Witness,
) -> Float[Tensor, "H W"]:
    """Return how much a photo's colours differ from those drawn, `UNSEEN` outside of its frame."""
    camera = witness.camera
    pose, (fx, fy, cx, cy) = camera_tensors(camera, points.device)
    x, y, z = (points @ pose[:3, :3].T + pose[:3, 3]).unbind(-1)
    ahead = (z > 0) & (depth > 0)
    z = torch.where(ahead, z, 1.0)
    u, v = x / z * fx + cx, y / z * fy + cy
    inside = ahead & (u > 0) & (u < camera.width) & (v > 0) & (v < camera.height)
    grid = torch.stack([2 * u / camera.width - 1, 2 * v / camera.height - 1], -1)[None]
    photo = witness.photo.to(points.device).permute(2, 0, 1)[None]
    found = grid_sample(photo, grid, padding_mode="border", align_corners=False)[0]
    difference = (found.permute(1, 2, 0) - color).abs().mean(-1)
    return torch.where(inside, difference, UNSEEN)


def _smoothed(values: Float[Tensor, "H W"], size: int) -> Float[Tensor, "H W"]:
    """Average over size x size pixels, repeating the edge."""
    beside = size // 2
    padded = pad(values[None, None], (beside, beside, beside, beside), mode="replicate")
    return avg_pool2d(padded, size, stride=1)[0, 0]
