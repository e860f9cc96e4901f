"""Twin of the slanted-plane refinement."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int32, Int64
from torch import Tensor

from recon.ops.reference.plane_sweep import cell, luma, unpack_colors
from recon.ops.refine_planes import Planes

OFFSETS = [-5, -3, -1, 1, 3, 5]
COLOR_SIGMA = 0.12
VARIANCE_FLOOR = 1e-5
COST_LIMIT = 1.25
HOLDING_DEVIATION = 0.02


def refine_planes(
    reference: Int32[Tensor, "H W"],
    sources: Int32[Tensor, "S SH SW"],
    source_sizes: Int32[Tensor, "S 2"],
    projections: Float[Tensor, "S 3 4"],
    inverse_depths: Float[Tensor, "H W"],
    slopes: Float[Tensor, "H W 2"],
    *,
    focal: float,
    sweeps: int = 3,
    depth_step: float = 0.02,
    holding: float = 0.1,
) -> Planes:
    """Compute what `recon.ops.refine_planes` does, all pixels of one checkerboard colour at a time."""
    height, width = reference.shape
    start = inverse_depths.double()
    plane = torch.cat([start[..., None], slopes.double()], dim=-1)
    windows = reference_windows(luma(unpack_colors(reference)[0]))
    pixel = torch.arange(height * width).reshape(height, width)
    row, column = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")

    def total_cost(candidate: Float[Tensor, "H W 3"]) -> Float[Tensor, "H W"]:
        cost = likeness_cost(candidate, windows, sources, source_sizes, projections)
        return cost + hold(candidate[..., 0], start, holding)

    total = total_cost(plane)
    for sweep in range(sweeps):
        for color in (0, 1):
            turn = ((row + column) % 2 == color) & (start > 0)

            def attempt(candidate: Tensor, usable: Tensor, turn: Tensor = turn) -> None:
                nonlocal plane, total
                cost = torch.where(turn & usable, total_cost(candidate), torch.inf)
                better = cost < total
                plane = torch.where(better[..., None], candidate, plane)
                total = torch.where(better, cost, total)

            # Only pixels of the other colour are looked at, and these do not change in this turn.
            for dx, dy in ((-1, 0), (1, 0), (0, -1), (0, 1)):
                neighbor = torch.roll(plane, (-dy, -dx), dims=(0, 1))
                exists = (column + dx >= 0) & (column + dx < width) & (row + dy >= 0) & (row + dy < height)
                candidate = neighbor.clone()
                candidate[..., 0] -= neighbor[..., 1] * dx + neighbor[..., 2] * dy
                attempt(candidate, exists & (neighbor[..., 0] > 0) & (candidate[..., 0] > 0))
            for change in range(3):
                attempt(changed(plane, pixel, sweep, change, depth_step, focal), torch.ones_like(turn))
    known = start > 0
    likeness = torch.where(known, total - hold(plane[..., 0], start, holding), 0.0)
    plane, likeness = plane.float(), likeness.float()
    return Planes(plane[..., 0], plane[..., 1:], likeness)


def hold(inverse_depth: Tensor, start: Tensor, holding: float) -> Tensor:
    """Return the cost of moving away from the start: `holding` per 2 % of depth."""
    return (inverse_depth - start).abs() / inverse_depth.clamp(min=1e-20) * holding / HOLDING_DEVIATION


def changed(
    plane: Float[Tensor, "H W 3"],
    pixel: Int64[Tensor, "H W"],
    sweep: int,
    change: int,
    depth_step: float,
    focal: float,
) -> Float[Tensor, "H W 3"]:
    """Return planes with a random change of depth (0), of slant (1) or of both (2)."""
    candidate = plane.clone()
    scale = 0.5**sweep

    def random(number: int) -> Tensor:
        return random_signed(pixel, (sweep * 3 + change) * 3 + number)

    if change != 1:
        candidate[..., 0] += plane[..., 0] * random(0) * depth_step * scale
    if change != 0:
        candidate[..., 1] += plane[..., 0] * random(1) * scale / focal
        candidate[..., 2] += plane[..., 0] * random(2) * scale / focal
    return candidate


def random_signed(pixel: Int64[Tensor, "*S"], draw: int) -> Float[Tensor, "*S"]:
    """Return numbers in [-1, 1): the finaliser of MurmurHash3 over pixel and draw, in 32 bits."""
    bits = (pixel * 0x9E3779B9 + draw * 0x85EBCA6B + 0x165667B1) & 0xFFFFFFFF
    bits = ((bits ^ (bits >> 16)) * 0x85EBCA6B) & 0xFFFFFFFF
    bits = ((bits ^ (bits >> 13)) * 0xC2B2AE35) & 0xFFFFFFFF
    bits = (bits ^ (bits >> 16)) >> 8
    return bits.double() * (2.0 / 16777216.0) - 1.0


def reference_windows(gray: Float[Tensor, "H W"]) -> tuple[Tensor, Tensor]:
    """Return per pixel the bilateral weights [36, H, W] of its window and the grey relative to the centre."""
    height, width = gray.shape
    padded = F.pad(gray[None, None], (5, 5, 5, 5), mode="replicate")[0, 0]
    differences = torch.stack(
        [padded[5 + dy : 5 + dy + height, 5 + dx : 5 + dx + width] - gray for dy in OFFSETS for dx in OFFSETS]
    )
    return torch.exp(-0.5 * (differences / COLOR_SIGMA) ** 2), differences


def likeness_cost(
    plane: Float[Tensor, "H W 3"],
    windows: tuple[Tensor, Tensor],
    sources: Int32[Tensor, "S SH SW"],
    source_sizes: Int32[Tensor, "S 2"],
    projections: Float[Tensor, "S 3 4"],
) -> Float[Tensor, "H W"]:
    """Return 1 - bilateral NCC with the source that fits best."""
    weight, own = windows
    norm = weight.sum(dim=0)
    own_mean = (weight * own).sum(dim=0) / norm
    own_variance = ((weight * own * own).sum(dim=0) / norm - own_mean**2).clamp(min=VARIANCE_FLOOR)
    lowest = torch.full_like(plane[..., 0], torch.inf)
    for source, size, projection in zip(sources, source_sizes, projections, strict=True):
        width, height = size.tolist()
        picture = source[:height, :width]
        gray = (luma(unpack_colors(picture)[0]) * 255).add(0.5).floor() / 255
        other = torch.stack(
            [sample(gray, *place(plane, projection, dx, dy)[:2]) for dy in OFFSETS for dx in OFFSETS]
        )
        mean = (weight * other).sum(dim=0) / norm
        variance = ((weight * other * other).sum(dim=0) / norm - mean**2).clamp(min=VARIANCE_FLOOR)
        covariance = (weight * own * other).sum(dim=0) / norm - mean * own_mean
        cost = (1 - covariance / (variance * own_variance).sqrt()).clamp(0, COST_LIMIT)
        seen = sees(picture, *place(plane, projection, 0, 0))
        lowest = torch.where(seen, torch.minimum(lowest, cost), lowest)
    return torch.where(lowest.isfinite(), lowest, COST_LIMIT)


def place(
    plane: Float[Tensor, "H W 3"], projection: Float[Tensor, "3 4"], dx: int, dy: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return where the plane's point behind the pixel (dx, dy) away lies in the source, and its relative depth."""
    height, width = plane.shape[:2]
    v, u = torch.meshgrid(
        torch.arange(height, dtype=torch.float64) + 0.5 + dy,
        torch.arange(width, dtype=torch.float64) + 0.5 + dx,
        indexing="ij",
    )
    inverse = plane[..., 0] + plane[..., 1] * dx + plane[..., 2] * dy
    x, y, z = (torch.stack([u, v, torch.ones_like(u), inverse], dim=-1) @ projection.double().T).unbind(
        dim=-1
    )
    return x / z, y / z, z


def sample(gray: Float[Tensor, "h w"], x: Tensor, y: Tensor) -> Tensor:
    """Interpolate bilinearly, repeating the edge."""
    left, top, fx, fy = cell(x, y, gray.shape[1], gray.shape[0])
    above = gray[top, left] * (1 - fx) + gray[top, left + 1] * fx
    below = gray[top + 1, left] * (1 - fx) + gray[top + 1, left + 1] * fx
    return above * (1 - fy) + below * fy


def sees(picture: Int32[Tensor, "h w"], x: Tensor, y: Tensor, z: Tensor) -> Bool[Tensor, "H W"]:
    """Return the points that fall on valid pixels of the source."""
    height, width = picture.shape
    _, valid = unpack_colors(picture)
    inside = (z > 0) & (x >= 0) & (x <= width) & (y >= 0) & (y <= height)
    return inside & valid[y.clamp(0, height - 1).long(), x.clamp(0, width - 1).long()]
