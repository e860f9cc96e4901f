"""The 3-D flow loss: matched pixels of two photos are one point of the world."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from recon import ops
from recon.coherence.grid import PixelGrid
from recon.priors.flow import Flow, Flows
from recon.train.views import TrainingView

if TYPE_CHECKING:
    from recon.coherence.gaussians import RayGaussians


@dataclass(frozen=True, eq=False)
class Matches:
    """Trusted correspondences from the cells of one photo to places in another.

    Attributes:
        cells: [M] flat index of the cell.
        corners: [M, 4] flat indices of the other photo's four cells around the place.
        weights: [M, 4] their bilinear weights.
    """

    cells: Int[Tensor, " M"]
    corners: Int[Tensor, "M 4"]
    weights: Float[Tensor, "M 4"]


class PointFlows:
    """Flow between all photos, brought to the photos' grids."""

    def __init__(self, flows: Flows, grids: Sequence[PixelGrid], sizes: Sequence[tuple[int, int]]) -> None:
        """Sample the flow in the middle of every cell.

        Args:
            sizes: height and width of the photos that the flow is stated for.
        """
        self.pairs: dict[tuple[int, int], Matches] = {}
        for (i, j), flow in flows.items():
            matches = _on_grid(flow, grids[i], grids[j], sizes[i], sizes[j])
            if len(matches.cells):
                self.pairs[i, j] = matches

    def __len__(self) -> int:
        return sum(len(matches.cells) for matches in self.pairs.values())

    def to(self, dtype: torch.dtype) -> PointFlows:
        """Return the flows with weights of another precision."""
        other = PointFlows({}, [], [])
        other.pairs = {
            pair: Matches(matches.cells, matches.corners, matches.weights.to(dtype))
            for pair, matches in self.pairs.items()
        }
        return other


def flow_loss(
    points: Sequence[Float[Tensor, "h w 3"]], flows: PointFlows, reference: int, unit: float
) -> Tensor | None:
    """Return the mean L1 distance between a photo's points and those that the other photos have at its matches.

    Args:
        points: world point of every cell, one map per photo.
        reference: the photo whose matches count.
        unit: length that distances are measured in.

    Source: CoherentGS (flow loss).
    """
    own = points[reference].flatten(0, 1)
    sums, count = [], 0
    for (i, j), matches in flows.pairs.items():
        if i != reference:
            continue
        there = points[j].flatten(0, 1)
        found = sum(
            there.index_select(0, matches.corners[:, corner]) * matches.weights[:, corner, None]
            for corner in range(4)
        )
        sums.append((own.index_select(0, matches.cells) - found).abs().sum())
        count += len(matches.cells)
    if not count:
        return None
    return torch.stack(sums).sum() / (3 * count * unit)


class FlowTerm:
    """The 3-D flow loss as a term of the objective, with the rendered photo as reference."""

    outputs: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self, gaussians: RayGaussians, flows: PointFlows, names: Sequence[str], weight: float, unit: float
    ) -> None:
        """Compare the points of `gaussians`.

        Args:
            names: of the photos, in the order of the grids.
            weight, unit: factor on the loss, and length that it is measured in.
        """
        self._gaussians, self._flows = gaussians, flows
        self._index = {name: index for index, name in enumerate(names)}
        self.weight, self.unit = weight, unit

    def __call__(self, rendering: ops.Rasterization, view: TrainingView, progress: float) -> Tensor | None:
        points = [
            grid.points(depth)
            for grid, depth in zip(self._gaussians.grids, self._gaussians.depths(), strict=True)
        ]
        loss = flow_loss(points, self._flows, self._index[view.name], self.unit)
        return None if loss is None else self.weight * loss


def _on_grid(
    flow: Flow, grid: PixelGrid, other: PixelGrid, size: tuple[int, int], other_size: tuple[int, int]
) -> Matches:
    """Keep the matches in the middle of a cell that fall among the other photo's used cells."""
    height, width = grid.size
    rows = ((torch.arange(height) + 0.5) * size[0] / height).long()
    columns = ((torch.arange(width) + 0.5) * size[1] / width).long()
    target = torch.as_tensor(flow.target)[rows][:, columns]
    trusted = torch.as_tensor(flow.mask)[rows][:, columns] & grid.used.cpu()
    # The cell's middle lies up to a pixel beside the pixel that was looked up: so does its match.
    beside_x = (torch.arange(width) + 0.5) * size[1] / width - (columns + 0.5)
    beside_y = (torch.arange(height) + 0.5) * size[0] / height - (rows + 0.5)
    other_height, other_width = other.size
    x = (target[..., 0] + beside_x[None, :]) * other_width / other_size[1] - 0.5
    y = (target[..., 1] + beside_y[:, None]) * other_height / other_size[0] - 0.5
    trusted &= (x >= 0) & (y >= 0) & (x <= other_width - 1) & (y <= other_height - 1)
    cells = trusted.reshape(-1).nonzero()[:, 0]
    x, y = x.reshape(-1)[cells], y.reshape(-1)[cells]
    left, top = x.floor().clamp(max=other_width - 2).long(), y.floor().clamp(max=other_height - 2).long()
    right, below = x - left, y - top
    corner = top * other_width + left
    corners = torch.stack([corner, corner + 1, corner + other_width, corner + other_width + 1], dim=1)
    weights = torch.stack(
        [(1 - right) * (1 - below), right * (1 - below), (1 - right) * below, right * below], dim=1
    )
    known = other.used.cpu().reshape(-1)[corners].all(dim=1)
    device = grid.depth.device
    return Matches(cells[known].to(device), corners[known].to(device), weights[known].float().to(device))
