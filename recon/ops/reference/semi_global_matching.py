"""Twin of semi-global matching."""

from __future__ import annotations

import torch
from jaxtyping import Int32, UInt8
from torch import Tensor

from recon.ops.semi_global_matching import Matching, large_penalties

DIRECTIONS = [(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, -1), (1, -1), (-1, 1)]
PEAK_RADIUS = 4


def semi_global_matching(
    volume: UInt8[Tensor, "H W D"],
    gray: UInt8[Tensor, "H W"],
    *,
    small_penalty: int = 32,
    large_penalty: int = 256,
    edge_weight: float = 20.0,
) -> Matching:
    """Compute what `recon.ops.semi_global_matching` does, direction by direction."""
    penalties = large_penalties(small_penalty, large_penalty, edge_weight)
    paths = [path_costs(volume.int(), gray.int(), small_penalty, penalties, dx, dy) for dx, dy in DIRECTIONS]
    return winner(torch.stack(paths).sum(0, dtype=torch.int32))


def path_costs(
    volume: Int32[Tensor, "H W D"],
    gray: Int32[Tensor, "H W"],
    small_penalty: int,
    penalties: Int32[Tensor, " 256"],
    dx: int,
    dy: int,
) -> Int32[Tensor, "H W D"]:
    """Return the least cost of a path that arrives at each pixel from one direction (equation 13)."""
    height, width, _ = volume.shape
    result = volume.clone()
    rows = range(height) if dy >= 0 else range(height - 1, -1, -1)
    columns = range(width) if dx >= 0 else range(width - 1, -1, -1)
    for y in rows:
        for x in columns:
            if not (0 <= x - dx < width and 0 <= y - dy < height):
                continue
            before = result[y - dy, x - dx]
            lowest = before.min()
            jump = lowest + penalties[(gray[y, x] - gray[y - dy, x - dx]).abs()]
            least = torch.minimum(before, jump)
            least[1:] = torch.minimum(least[1:], before[:-1] + small_penalty)
            least[:-1] = torch.minimum(least[:-1], before[1:] + small_penalty)
            result[y, x] += least - lowest
    return result


def winner(total: Int32[Tensor, "H W D"]) -> Matching:
    """Return the plane of least cost, its parabola offset, and the best plane away from it."""
    planes = total.shape[-1]
    costs = total.float()
    best, index = costs.min(dim=-1)
    # The first of equal costs, as torch promises no order.
    index = (costs == best[..., None]).float().argmax(dim=-1)
    away = (torch.arange(planes) - index[..., None]).abs() > PEAK_RADIUS
    runner_up = torch.where(away, costs, 60000.0).amin(dim=-1)
    before = costs.gather(-1, (index - 1).clamp(min=0)[..., None])[..., 0]
    after = costs.gather(-1, (index + 1).clamp(max=planes - 1)[..., None])[..., 0]
    offset = ((before - after) / 2 / (before - 2 * best + after).clamp(min=1e-6)).clamp(-0.5, 0.5)
    inner = (index > 0) & (index < planes - 1)
    return Matching(index + torch.where(inner, offset, 0.0), best, runner_up)
