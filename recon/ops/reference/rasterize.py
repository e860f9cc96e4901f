"""The plain-torch twin of the Gaussian rasterizer: any dtype, autograd, meant for small scenes."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from recon.ops.rasterization import Rasterization

ALPHA_MIN = 1.0 / 255.0
"""A Gaussian is skipped at pixels where its alpha is lower: one 8-bit step (3DGS)."""
ALPHA_MAX = 0.99
"""Alpha is clamped to this, with zero gradient beyond (3DGS)."""
STOP = 1e-4
"""A pixel takes Gaussians while its transmittance is at least this; the one that takes it below still counts."""
MEDIAN = 0.5
"""The median depth is the depth of the Gaussian that takes the transmittance from above to at most this."""
DILATION = 0.3
"""Added to both variances of the screen covariance, in pixels squared (3DGS's low-pass filter)."""
COMPENSATION_FLOOR = 0.000025
"""Floor of det / det_dilated under the root of the opacity compensation (3DGS)."""
SLOPE_MARGIN = 0.3
"""The projection is linearised at most this share of the half field of view beyond the image's edge (3DGS)."""
TILE = 16
"""Pixels are composited in square tiles of this size, to bound memory; it has no influence on the result."""


def rasterize(
    means: Float[Tensor, "N 3"],
    quaternions: Float[Tensor, "N 4"],
    scales: Float[Tensor, "N 3"],
    opacities: Float[Tensor, " N"],
    sh: Float[Tensor, "N K 3"] | None,
    world_to_camera: Float[Tensor, "4 4"],
    intrinsics: Float[Tensor, " 4"],
    width: int,
    height: int,
    *,
    sh_degree: int | None = None,
    colors: Float[Tensor, "N 3"] | None = None,
    background: Float[Tensor, " 3"] | None = None,
    features: Float[Tensor, "N C"] | None = None,
    outputs: tuple[str, ...] = ("color",),
    antialiased: bool = False,
    screen_offsets: Float[Tensor, "N 2"] | None = None,
    absolute_gradients: bool = False,
    near: float = 0.01,
) -> Rasterization:
    """Rasterize Gaussians exactly as `recon.ops.rasterize` does; see there for the arguments."""
    rotation, translation = world_to_camera[:3, :3], world_to_camera[:3, 3]
    points = means @ rotation.T + translation
    depth = points[:, 2]
    in_front = depth > near
    safe_points = torch.where(in_front[:, None], points, points.new_tensor([0.0, 0.0, 1.0]))

    local_axes = rotation_matrices(quaternions)
    axes = rotation @ (local_axes * scales[:, None, :])
    covariance, centers = project_covariance(axes, safe_points, intrinsics, width, height)
    raw_determinant = covariance[:, 0] * covariance[:, 2] - covariance[:, 1] ** 2
    a, b, c = covariance[:, 0] + DILATION, covariance[:, 1], covariance[:, 2] + DILATION
    determinant = a * c - b * b
    conic = torch.stack([c, -b, a], -1) / determinant[:, None]
    if antialiased:
        opacities = opacities * (raw_determinant / determinant).clamp(min=COMPENSATION_FLOOR).sqrt()

    level = (opacities.detach().clamp(min=1e-30) / ALPHA_MIN).log()
    extent = (2 * level[:, None] * torch.stack([a, c], -1).detach()).clamp(min=0).sqrt()
    placed = centers if screen_offsets is None else centers + screen_offsets
    low, high = (placed - extent).detach(), (placed + extent).detach()
    visible = (
        in_front
        & (level >= 0)
        & torch.isfinite(determinant)
        & torch.isfinite(centers).all(-1)
        & torch.isfinite(opacities)
    )
    visible &= (high >= 0.5).all(-1) & (low[:, 0] <= width - 0.5) & (low[:, 1] <= height - 0.5)
    # A stable sort by depth leaves ties in index order.
    order = depth.detach()[visible].argsort(stable=True)
    order = visible.nonzero()[:, 0][order]

    if colors is None:
        assert sh is not None
        directions = torch.nn.functional.normalize(means - (-rotation.T @ translation), dim=-1)
        colors = spherical_harmonics_color(sh, directions, sh_degree)
    channels = {
        "color": colors,
        "depth": depth[:, None],
        "normal": camera_normals(rotation, local_axes, scales, points),
    }
    names = ["color", *(name for name in ("depth", "normal") if name in outputs)]
    if features is not None:
        channels["features"] = features
        names.append("features")
    sizes = [channels[name].shape[1] for name in names]
    values = torch.cat([channels[name] for name in names], -1)

    image = means.new_zeros(height, width, sum(sizes))
    alpha, median = means.new_zeros(height, width), means.new_zeros(height, width)
    contribution = means.new_zeros(len(means))
    for top in range(0, height, TILE):
        for left in range(0, width, TILE):
            bottom, right = min(top + TILE, height), min(left + TILE, width)
            meets = (low[order] <= low.new_tensor([right, bottom])) & (
                high[order] >= low.new_tensor([left, top])
            )
            chosen = order[meets.all(-1)]
            if len(chosen) == 0:
                continue
            ys = torch.arange(top, bottom, dtype=means.dtype, device=means.device) + 0.5
            xs = torch.arange(left, right, dtype=means.dtype, device=means.device) + 0.5
            pixels = torch.stack(torch.meshgrid(xs, ys, indexing="xy"), -1).reshape(-1, 2)
            delta = pixels - centers[chosen, None]
            if screen_offsets is not None:
                delta = delta - _per_pixel(screen_offsets[chosen], len(pixels), absolute_gradients)
            weights, medians = composite(delta, conic[chosen], opacities[chosen])
            window = (slice(top, bottom), slice(left, right))
            image[window] = (weights.T @ values[chosen]).reshape(bottom - top, right - left, -1)
            alpha[window] = weights.sum(0).reshape(bottom - top, right - left)
            median[window] = (
                (medians.to(weights) * depth[chosen, None]).sum(0).reshape(bottom - top, right - left)
            )
            contribution = contribution.index_add(0, chosen, weights.detach().sum(1))

    images = dict(zip(names, image.split(sizes, -1), strict=True))
    if background is not None:
        images["color"] = images["color"] + (1 - alpha)[..., None] * background
    covered = alpha > 0
    if "depth" in images:
        images["depth"] = torch.where(
            covered, images["depth"][..., 0] / alpha.where(covered, torch.ones(())), 0.0
        )
    if "normal" in images:
        images["normal"] = torch.nn.functional.normalize(images["normal"], dim=-1, eps=1e-20)
    spread = 0.5 * (a + c) + (0.25 * (a - c) ** 2 + b * b).sqrt()
    return Rasterization(
        color=images["color"],
        alpha=alpha,
        depth=images.get("depth"),
        median_depth=median if "median_depth" in outputs else None,
        normal=images.get("normal"),
        features=images.get("features"),
        radii=torch.where(visible, 3 * spread.sqrt(), 0.0).detach(),
        _contribution=contribution,
    )


def rotation_matrices(quaternions: Float[Tensor, "N 4"]) -> Float[Tensor, "N 3 3"]:
    """Return the rotation of each quaternion (w, x, y, z), normalised first."""
    w, x, y, z = torch.nn.functional.normalize(quaternions, dim=-1).unbind(-1)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def project_covariance(
    axes: Float[Tensor, "N 3 3"],
    points: Float[Tensor, "N 3"],
    intrinsics: Float[Tensor, " 4"],
    width: int,
    height: int,
) -> tuple[Float[Tensor, "N 3"], Float[Tensor, "N 2"]]:
    """Project Gaussians given by their scaled axes (columns) and centres, both in camera axes.

    Returns the screen covariance (a, b, c) before dilation and the centre, in pixels.

    Source: EWA splatting (Zwicker et al. 2001), equation 31, as used by 3DGS (Kerbl et al. 2023), section 4.
    """
    focal, principal = intrinsics[:2], intrinsics[2:]
    depth = points[:, 2:]
    slopes = points[:, :2] / depth
    size = points.new_tensor([width, height])
    margin = SLOPE_MARGIN * 0.5 * size / focal
    # The limits count as constants: no gradient reaches the intrinsics through them.
    lowest, highest = (-principal / focal - margin).detach(), ((size - principal) / focal + margin).detach()
    clamped = slopes.clamp(lowest, highest)
    jacobian_axes = (focal / depth)[..., None] * (axes[:, :2] - clamped[..., None] * axes[:, 2:])
    x, y = jacobian_axes.unbind(1)
    covariance = torch.stack([(x * x).sum(-1), (x * y).sum(-1), (y * y).sum(-1)], -1)
    return covariance, focal * slopes + principal


def spherical_harmonics_color(
    sh: Float[Tensor, "N K 3"], directions: Float[Tensor, "N 3"], degree: int | None = None
) -> Float[Tensor, "N 3"]:
    """Return max(0, 0.5 + SH(direction)), in the sign convention of 3DGS files."""
    degree = math.isqrt(sh.shape[1]) - 1 if degree is None else degree
    basis = spherical_harmonics_basis(directions, degree)
    return (0.5 + (basis[..., None] * sh[:, : basis.shape[1]]).sum(1)).clamp(min=0)


def spherical_harmonics_basis(directions: Float[Tensor, "N 3"], degree: int) -> Float[Tensor, "N K"]:
    """Return the (degree + 1)^2 real spherical harmonics of unit directions."""
    x, y, z = directions.unbind(-1)
    basis = [torch.full_like(x, 0.28209479177387814)]
    if degree >= 1:
        basis += [-0.4886025119029199 * y, 0.4886025119029199 * z, -0.4886025119029199 * x]
    if degree >= 2:
        basis += [
            1.0925484305920792 * x * y,
            -1.0925484305920792 * y * z,
            0.31539156525252005 * (2 * z * z - x * x - y * y),
            -1.0925484305920792 * x * z,
            0.5462742152960396 * (x * x - y * y),
        ]
    if degree >= 3:
        basis += [
            -0.5900435899266435 * y * (3 * x * x - y * y),
            2.890611442640554 * x * y * z,
            -0.4570457994644658 * y * (4 * z * z - x * x - y * y),
            0.3731763325901154 * z * (2 * z * z - 3 * x * x - 3 * y * y),
            -0.4570457994644658 * x * (4 * z * z - x * x - y * y),
            1.445305721320277 * z * (x * x - y * y),
            -0.5900435899266435 * x * (x * x - 3 * y * y),
        ]
    return torch.stack(basis, -1)


def camera_normals(
    rotation: Float[Tensor, "3 3"],
    local_axes: Float[Tensor, "N 3 3"],
    scales: Float[Tensor, "N 3"],
    points: Float[Tensor, "N 3"],
) -> Float[Tensor, "N 3"]:
    """Return each Gaussian's shortest axis in camera axes, turned to face the camera."""
    shortest = scales.detach().argmin(-1)
    normals = local_axes[torch.arange(len(scales), device=scales.device), :, shortest] @ rotation.T
    return torch.where((normals * points).sum(-1, keepdim=True) > 0, -normals, normals)


def composite(
    delta: Float[Tensor, "n P 2"], conic: Float[Tensor, "n 3"], opacities: Float[Tensor, " n"]
) -> tuple[Float[Tensor, "n P"], Bool[Tensor, "n P"]]:
    """Return the blending weight of n Gaussians, nearest first, at P pixels, and which one is the pixel's median.

    Source: 3DGS (Kerbl et al. 2023), equation 3.
    """
    dx, dy = delta.unbind(-1)
    a, b, c = conic[:, None].unbind(-1)
    sigma = 0.5 * (a * dx * dx + c * dy * dy) + b * dx * dy
    alpha = (opacities[:, None] * (-sigma).exp()).clamp(max=ALPHA_MAX)
    alpha = torch.where(alpha >= ALPHA_MIN, alpha, 0.0)
    after = (1 - alpha).cumprod(0)
    before = torch.cat([torch.ones_like(after[:1]), after[:-1]])
    alive = before >= STOP
    median = (before > MEDIAN) & (after <= MEDIAN)
    return torch.where(alive, alpha * before, 0.0), median.detach()


class _PerPixel(torch.autograd.Function):
    """Repeat [n, 2] offsets over P pixels; the gradient is the sum over pixels of absolute values (AbsGS)."""

    @staticmethod
    def forward(ctx, offsets: Tensor, pixels: int) -> Tensor:
        return offsets[:, None].expand(-1, pixels, -1)

    @staticmethod
    def backward(ctx, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0].abs().sum(1), None


def _per_pixel(offsets: Float[Tensor, "n 2"], pixels: int, absolute: bool) -> Float[Tensor, "n P 2"]:
    return _PerPixel.apply(offsets, pixels) if absolute else offsets[:, None]
