"""Where Gaussians start: at given points, or spread over what the cameras see."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy import ndarray
from torch import Tensor

from recon.errors import ReconError
from recon.ops import nearest_neighbors
from recon.scene import Camera
from recon.splats.gaussians import SH_C0, Gaussians

_FOOTPRINT_TO_DEVIATION = 1.2
"""Neighbouring Gaussians of this many footprint radii overlap enough to leave no gaps between them."""

_FLATNESS = 0.1
"""Thickness of a Gaussian along its normal, as a share of its radius: a disc, but one that still takes gradients."""

_NEIGHBORS = 3
_SMALLEST_SHARE = 1e-3
"""Points that coincide get this share of the median distance, since a Gaussian needs some size."""


def gaussians_from_points(
    positions: Float[Tensor, "N 3"] | Float[ndarray, "N 3"],
    colors: Float[Tensor, "N 3"] | UInt8[Tensor, "N 3"] | Float[ndarray, "N 3"] | UInt8[ndarray, "N 3"],
    radii: Float[Tensor, " N"] | Float[ndarray, " N"] | None = None,
    normals: Float[Tensor, "N 3"] | Float[ndarray, "N 3"] | None = None,
    *,
    opacity: float = 0.1,
    sh_degree: int = 0,
) -> Gaussians:
    """Place a Gaussian at every point.

    Args:
        positions: [N, 3] world coordinates.
        colors: [N, 3] sRGB values in [0, 1], or bytes.
        radii: [N] radius in world units that each point covers, for example half the distance between neighbouring
            pixels at its depth. Without it, the mean distance to the 3 nearest points is the standard deviation.
        normals: [N, 3] world axes. Where given, finite and not zero, the Gaussian is a disc across the normal.
        opacity: of all Gaussians, between 0 and 1, both excluded.
        sh_degree: harmonics to make room for; those of degree 1 and more start at zero.

    Returns:
        float32 Gaussians on the device of `positions`.

    Raises:
        ReconError: when there are no points (or a single one without a radius), or values are NaN or infinite.

    Source: Kerbl et al. 2023, section 5.1 (isotropic, mean distance to three neighbours, opacity 0.1).
    """
    means = torch.as_tensor(positions).float()
    if means.ndim != 2 or means.shape[1] != 3:
        raise ValueError(f"positions: expected shape (N, 3), got {tuple(means.shape)}")
    n, device = len(means), means.device
    rgb = torch.as_tensor(colors, device=device)
    rgb = rgb.float() / 255 if rgb.dtype == torch.uint8 else rgb.float()
    if rgb.shape != (n, 3):
        raise ValueError(f"colors: expected shape ({n}, 3), got {tuple(rgb.shape)}")
    if n == 0:
        raise ReconError("there are no points to start from")
    if not (torch.isfinite(means).all() and torch.isfinite(rgb).all()):
        raise ReconError("the points to start from have NaN or infinite positions or colours")
    if radii is None:
        deviations = _neighbor_distances(means)
    else:
        deviations = _FOOTPRINT_TO_DEVIATION * torch.as_tensor(radii, device=device).float()
        if deviations.shape != (n,):
            raise ValueError(f"radii: expected shape ({n},), got {tuple(deviations.shape)}")
        if not (torch.isfinite(deviations) & (deviations > 0)).all():
            raise ReconError("the points to start from need finite radii above zero")
    scales = deviations[:, None].repeat(1, 3)
    quaternions = torch.tensor([1.0, 0.0, 0.0, 0.0], device=device).repeat(n, 1)
    if normals is not None:
        directions = torch.as_tensor(normals, device=device).float()
        if directions.shape != (n, 3):
            raise ValueError(f"normals: expected shape ({n}, 3), got {tuple(directions.shape)}")
        length = directions.norm(dim=1)
        known = torch.isfinite(length) & (length > 0)
        quaternions[known] = _rotations_of_z_axis(directions[known] / length[known, None])
        scales[known, 2] *= _FLATNESS
    sh = torch.zeros(n, (sh_degree + 1) ** 2, 3, device=device)
    sh[:, 0] = (rgb - 0.5) / SH_C0
    logit = math.log(opacity / (1 - opacity))
    return Gaussians(means.clone(), scales.log(), quaternions, torch.full((n,), logit, device=device), sh)


def random_gaussians_in_frusta(
    cameras: Sequence[Camera],
    count: int,
    near: float,
    far: float,
    seed: int,
    *,
    seen_by: int = 1,
    opacity: float = 0.1,
    sh_degree: int = 0,
) -> Gaussians:
    """Spread Gaussians of random colour over what the cameras see.

    Each is drawn by choosing a camera, a pixel of its picture, and an inverse depth between 1/far and 1/near, all
    uniform: as many per pixel everywhere, and denser near the cameras, where pictures show more detail.

    Args:
        near, far: depth range (z) in world units.
        seed: equal seeds give equal Gaussians.
        seen_by: how many cameras must see each Gaussian, at a depth beyond `near`: 1 for the union of all frusta,
            `len(cameras)` for their intersection.
        opacity, sh_degree: see `gaussians_from_points`.

    Raises:
        ReconError: when the depth range is empty, or so little is seen by `seen_by` cameras that it is not found.
    """
    if not (0 < near < far and math.isfinite(far)):
        raise ReconError(f"the depth range must be finite with 0 < near < far, got near={near}, far={far}")
    if not 1 <= seen_by <= len(cameras):
        raise ReconError(f"each Gaussian should be seen by {seen_by} cameras, but there are {len(cameras)}")
    if count < 2:
        raise ReconError(f"at least 2 random Gaussians are needed, got {count}")
    generator = torch.Generator().manual_seed(seed)
    found: list[ndarray] = []
    missing = count
    for _ in range(_ROUNDS):
        points = _sample_frusta(cameras, count, near, far, generator)
        seen = sum(_sees(camera, points, near).astype(int) for camera in cameras)
        found.append(points[seen >= seen_by][:missing])
        missing -= len(found[-1])
        if not missing:
            break
    else:
        raise ReconError(
            f"hardly anything between depths {near:g} and {far:g} is seen by {seen_by} of the {len(cameras)} cameras: "
            "check the poses and the depth range"
        )
    colors = torch.rand(count, 3, generator=generator)
    return gaussians_from_points(np.concatenate(found), colors, opacity=opacity, sh_degree=sh_degree)


_ROUNDS = 200
"""Rounds of `count` samples each: enough where half a percent of what one camera sees is seen by the others too."""


def _sample_frusta(
    cameras: Sequence[Camera], count: int, near: float, far: float, generator: torch.Generator
) -> Float[ndarray, "N 3"]:
    which = torch.randint(len(cameras), (count,), generator=generator).numpy()
    u, v, w = torch.rand(3, count, generator=generator, dtype=torch.float64).numpy()
    depths = 1 / (1 / far + w * (1 / near - 1 / far))
    points = np.empty((count, 3))
    for index, camera in enumerate(cameras):
        chosen = which == index
        pixels = np.stack([u[chosen] * camera.width, v[chosen] * camera.height], axis=1)
        points[chosen] = camera.unproject(pixels, depths[chosen])
    return points


def _sees(camera: Camera, points: Float[ndarray, "N 3"], near: float) -> ndarray:
    pixels, depths = camera.project(points)
    # A sample on the picture's border or at `near` itself must not get lost to rounding in its own camera.
    slack = 1e-6
    inside = (pixels >= -slack * camera.width) & (
        pixels <= np.array([camera.width, camera.height]) * (1 + slack)
    )
    return inside.all(axis=1) & (depths >= near * (1 - slack))


def _neighbor_distances(points: Float[Tensor, "N 3"]) -> Float[Tensor, " N"]:
    """Return each point's mean distance to its nearest points, never zero."""
    k = min(_NEIGHBORS, len(points) - 1)
    if k < 1:
        raise ReconError(
            "a single point to start from needs a radius, since it has no neighbours to take a size from"
        )
    distances, _ = nearest_neighbors(points.detach(), k)
    mean = distances.mean(dim=1)
    positive = mean[mean > 0]
    if not len(positive):
        raise ReconError("the points to start from all lie at the same place")
    return mean.clamp(min=_SMALLEST_SHARE * positive.median().item())


def _rotations_of_z_axis(directions: Float[Tensor, "N 3"]) -> Float[Tensor, "N 4"]:
    """Return quaternions that turn the z axis along unit directions or against them, whichever is nearer."""
    x, y, z = torch.where(directions[:, 2:] < 0, -directions, directions).unbind(dim=1)
    quaternions = torch.stack(
        [1 + z, -y, x, torch.zeros_like(z)], dim=1
    )  # half-way construction: 1 + z.n, z x n
    return quaternions / quaternions.norm(dim=1, keepdim=True)
