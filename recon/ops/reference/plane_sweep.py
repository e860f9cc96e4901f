"""Twin of the plane-sweep cost volume."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int32, UInt8
from torch import Tensor

VARIANCE_FLOOR = 4e-5
CORRELATION_LIMIT = 1.25
COLOR_LIMIT = 0.08
GRADIENT_LIMIT = 0.03
UNSEEN_COST = 0.9
OCCLUDED, AGREEMENT, FREE_SPACE, DEPTH_BONUS = 0.96, 0.01, 1.04, 0.1


def plane_sweep(
    reference: Int32[Tensor, "H W"],
    sources: Int32[Tensor, "S SH SW"],
    source_sizes: Int32[Tensor, "S 2"],
    projections: Float[Tensor, "S 3 4"],
    inverse_depths: Float[Tensor, " D"],
    *,
    source_depths: Float[Tensor, "S SH SW"] | None = None,
    lowest_weight: float = 0.5,
) -> UInt8[Tensor, "H W D"]:
    """Compute what `recon.ops.plane_sweep` does, plane by plane."""
    colors, _ = unpack_colors(reference)
    planes = []
    for inverse_depth in inverse_depths:
        costs, seen = [], []
        for number, projection in enumerate(projections):
            width, height = source_sizes[number].tolist()
            source = sources[number, :height, :width]
            depths = None if source_depths is None else source_depths[number, :height, :width]
            x, y, z = project(projection, colors.shape[0], colors.shape[1], inverse_depth)
            warped = warp(source, x, y)
            cost = matching_cost(colors, warped)
            term, visible = surface_term(source, depths, x, y, z / inverse_depth)
            costs.append(cost + term)
            seen.append(visible)
        planes.append(combine(torch.stack(costs), torch.stack(seen), lowest_weight))
    return (torch.stack(planes, dim=-1) * 200.0 + 0.5).floor().clamp(0, 255).to(torch.uint8)


def unpack_colors(pixels: Int32[Tensor, "*S"]) -> tuple[Float[Tensor, "*S 3"], Bool[Tensor, "*S"]]:
    """Return colours in [0, 1] and which pixels are valid."""
    levels = torch.stack([(pixels >> shift) & 1023 for shift in (20, 10, 0)], dim=-1)
    return levels.double() / 1023.0, (pixels >> 30) != 0


def project(
    projection: Float[Tensor, "3 4"], height: int, width: int, inverse_depth: Float[Tensor, ...]
) -> tuple[Tensor, Tensor, Tensor]:
    """Return where each pixel's point lies in the source, and its depth there over its own."""
    v, u = torch.meshgrid(
        torch.arange(height, dtype=torch.float64) + 0.5,
        torch.arange(width, dtype=torch.float64) + 0.5,
        indexing="ij",
    )
    rays = torch.stack([u, v, torch.ones_like(u), inverse_depth.double().expand_as(u)], dim=-1)
    x, y, z = (rays @ projection.double().T).unbind(dim=-1)
    return x / z, y / z, z


def warp(source: Int32[Tensor, "SH SW"], x: Tensor, y: Tensor) -> Float[Tensor, "H W 3"]:
    """Sample the source's colours bilinearly, repeating its edge."""
    height, width = source.shape
    colors, _ = unpack_colors(source)
    left, top, fx, fy = cell(x, y, width, height)
    corner = [[colors[top + j, left + i] for i in (0, 1)] for j in (0, 1)]
    fx, fy = fx[..., None], fy[..., None]
    above = corner[0][0] * (1 - fx) + corner[0][1] * fx
    below = corner[1][0] * (1 - fx) + corner[1][1] * fx
    return above * (1 - fy) + below * fy


def cell(x: Tensor, y: Tensor, width: int, height: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the pixel to the upper left of a sample, kept inside, and the fractions of the way to the next."""
    sx, sy = (x - 0.5).clamp(0, width - 1), (y - 0.5).clamp(0, height - 1)
    left, top = sx.floor().clamp(max=width - 2).long(), sy.floor().clamp(max=height - 2).long()
    return left, top, sx - left, sy - top


def matching_cost(colors: Float[Tensor, "H W 3"], warped: Float[Tensor, "H W 3"]) -> Float[Tensor, "H W"]:
    """Return half of 1 - ZNCC over 7 x 7 pixels plus 0.6 of the truncated differences over 5 x 5."""
    own, other = luma(colors), luma(warped)
    own_mean, other_mean = box(own, 7), box(other, 7)
    own_variance = (box(own * own, 7) - own_mean**2).clamp(min=VARIANCE_FLOOR)
    other_variance = (box(other * other, 7) - other_mean**2).clamp(min=VARIANCE_FLOOR)
    correlation = (box(own * other, 7) - own_mean * other_mean) / (own_variance * other_variance).sqrt()
    color = (colors - warped).abs().mean(dim=-1).clamp(max=COLOR_LIMIT) / COLOR_LIMIT
    steps = [(a - b).abs() for a, b in zip(gradient(own), gradient(other), strict=True)]
    slope = (steps[0] + steps[1]).clamp(max=GRADIENT_LIMIT) / GRADIENT_LIMIT
    return 0.5 * (1 - correlation).clamp(0, CORRELATION_LIMIT) + 0.6 * box(0.3 * color + 0.7 * slope, 5)


def surface_term(
    source: Int32[Tensor, "SH SW"], depths: Float[Tensor, "SH SW"] | None, x: Tensor, y: Tensor, z: Tensor
) -> tuple[Float[Tensor, "H W"], Bool[Tensor, "H W"]]:
    """Return what the source's depth map adds to the cost, and where the source sees the point at all."""
    height, width = source.shape
    left, top, fx, fy = cell(x, y, width, height)
    _, valid = unpack_colors(source)
    seen = (z > 0) & (x >= 0) & (x <= width) & (y >= 0) & (y <= height)
    for j in (0, 1):
        for i in (0, 1):
            seen &= valid[top + j, left + i]
    if depths is None:
        return torch.zeros_like(x), seen
    surface = depths.double()[(top + fy + 0.5).long(), (left + fx + 0.5).long()]
    hidden = (surface > 0) & (surface < z * OCCLUDED)
    agrees = (surface - z).abs() < z * AGREEMENT
    behind = surface > z * FREE_SPACE
    return DEPTH_BONUS * (behind.double() - agrees.double()), seen & ~hidden


def combine(
    costs: Float[Tensor, "S H W"], seen: Bool[Tensor, "S H W"], lowest_weight: float
) -> Float[Tensor, "H W"]:
    """Mix the lowest and the mean cost over the sources that see the pixel."""
    lowest = torch.where(seen, costs, torch.inf).amin(dim=0)
    count = seen.sum(dim=0)
    mean = torch.where(seen, costs, 0.0).sum(dim=0) / count.clamp(min=1)
    mixed = (lowest_weight * lowest + (1 - lowest_weight) * mean).clamp(min=0)
    return torch.where(count > 0, mixed, UNSEEN_COST)


def luma(colors: Float[Tensor, "*S 3"]) -> Float[Tensor, "*S"]:
    return colors @ colors.new_tensor([0.299, 0.587, 0.114])


def box(values: Float[Tensor, "H W"], size: int) -> Float[Tensor, "H W"]:
    """Average over a window, as far as it lies in the picture."""
    return F.avg_pool2d(values[None, None], size, 1, size // 2, count_include_pad=False)[0, 0]


def gradient(values: Float[Tensor, "H W"]) -> tuple[Tensor, Tensor]:
    """Return central differences to the right and down, with the edge repeated."""
    padded = F.pad(values[None, None], (1, 1, 1, 1), mode="replicate")[0, 0]
    return (padded[1:-1, 2:] - padded[1:-1, :-2]) / 2, (padded[2:, 1:-1] - padded[:-2, 1:-1]) / 2
