"""The coarse alignment: one scale and one offset per photo bring the photos' depths together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from recon.coherence.flow_loss import PointFlows
from recon.coherence.grid import PixelGrid


@dataclass(frozen=True)
class AlignmentSettings:
    """Phase A: z = s D + o with one s and one o per photo, by the flow loss alone."""

    iterations: int = 1000
    """Steps of Adam; 0 leaves the depths as the prior gives them."""
    scale: float = 0.005
    """Step of the scales at the start. The paper's is 1, for relative depth of a monocular model; a prior in scene
    units needs corrections of percents only."""
    offset: float = 0.005
    """Step of the offsets at the start, in units of the median depth."""


MATCHES = 20_000
"""Matches per pair of photos that are used at most, evenly chosen: two numbers per photo need no more."""


def align(
    grids: Sequence[PixelGrid], flows: PointFlows, settings: AlignmentSettings
) -> tuple[list[PixelGrid], Float[Tensor, "V 2"]]:
    """Scale and shift each photo's depth so that matched pixels meet; photos take turns as reference.

    Adam, with step sizes that fall to zero along a cosine.

    Returns:
        The grids with aligned first depths, and (s, o) per photo; o in scene units.

    Source: CoherentGS (coarse alignment, released schedule).
    """
    unit = float(torch.cat([grid.depth[grid.used] for grid in grids]).median())
    device = grids[0].depth.device
    parameters = torch.tensor([[1.0, 0.0]] * len(grids), device=device)
    rates = torch.tensor([settings.scale, settings.offset], device=device)
    moments = torch.zeros(2, *parameters.shape, device=device)
    references = sorted({i for i, _ in flows.pairs})
    gaps = [
        [_gap(grids, flows, pair, unit) for pair in flows.pairs if pair[0] == reference]
        for reference in references
    ]
    for step in range(settings.iterations if references else 0):
        parameters.requires_grad_(True)
        apart = torch.cat([gap.between(parameters) for gap in gaps[step % len(gaps)]])
        (gradient,) = torch.autograd.grad(apart.abs().mean(), parameters)
        moments = torch.stack(
            [0.9 * moments[0] + 0.1 * gradient, 0.999 * moments[1] + 0.001 * gradient.square()]
        )
        mean, square = moments[0] / (1 - 0.9 ** (step + 1)), moments[1] / (1 - 0.999 ** (step + 1))
        anneal = 0.5 * (1 + math.cos(math.pi * step / settings.iterations))
        parameters = parameters.detach() - anneal * rates * mean / (square.sqrt() + 1e-15)
    found = parameters.detach() * torch.tensor([1.0, unit], device=device)
    nearest = min(float(grid.depth[grid.used].min()) for grid in grids)
    aligned = [
        grid.with_depth((scale * grid.depth + offset).clamp(min=0.1 * nearest))
        for grid, (scale, offset) in zip(grids, found, strict=True)
    ]
    return aligned, found


@dataclass(frozen=True, eq=False)
class _Gap:
    """What lies between matched points of two photos, in units of the median depth: linear in both photos' (s, o).

    A point is centre + ray (s D + o), and an interpolated one is the same with interpolated rays.
    """

    first: int
    second: int
    centers: Float[Tensor, " 3"]
    along_first: Float[Tensor, "M 2 3"]
    along_second: Float[Tensor, "M 2 3"]

    def between(self, parameters: Float[Tensor, "V 2"]) -> Float[Tensor, "M 3"]:
        own = torch.einsum("k,mkc->mc", parameters[self.first], self.along_first)
        other = torch.einsum("k,mkc->mc", parameters[self.second], self.along_second)
        return self.centers + own - other


def _gap(grids: Sequence[PixelGrid], flows: PointFlows, pair: tuple[int, int], unit: float) -> _Gap:
    i, j = pair
    matches = flows.pairs[pair]
    chosen = slice(None, None, max(1, len(matches.cells) // MATCHES))
    cells, corners, weights = matches.cells[chosen], matches.corners[chosen], matches.weights[chosen]

    def along(grid: PixelGrid) -> Float[Tensor, "n 2 3"]:
        rays, depth = grid.rays.flatten(0, 1), grid.depth.flatten()[:, None] / unit
        return torch.stack([rays * depth, rays], dim=1)

    there = along(grids[j])
    second = sum(there[corners[:, k]] * weights[:, k, None, None] for k in range(4))
    assert isinstance(second, Tensor)
    return _Gap(i, j, (grids[i].center - grids[j].center) / unit, along(grids[i])[cells], second)
