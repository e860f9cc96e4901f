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


class FlowLoss:
    """Mean L1 distance between a photo's points and those that the other photos have at its matches.

    A point is centre + ray z, and an interpolated one the same with interpolated rays, so what lies between two matched
    points is linear in the depths of the five cells it depends on. The factors are kept, matches last: a step gathers
    depths instead of points.

    Source: CoherentGS (flow loss).
    """

    def __init__(
        self, grids: Sequence[PixelGrid], flows: PointFlows, unit: float, dtype: torch.dtype = torch.float32
    ) -> None:
        """Compare depths on `grids`.

        Args:
            unit: length that distances are measured in.
        """
        self.unit = unit
        self._gaps = {
            (i, j): _Gap.of(grids[i], grids[j], matches, dtype) for (i, j), matches in flows.pairs.items()
        }

    def __call__(self, depths: Sequence[Float[Tensor, "h w"]], reference: int) -> Tensor | None:
        """Return the loss of the photo `reference`, None where it has no match.

        Args:
            depths: of every cell, one map per photo.
        """
        apart = [gap.between(depths[i], depths[j]) for (i, j), gap in self._gaps.items() if i == reference]
        if not apart:
            return None
        return torch.stack([part.abs().sum() for part in apart]).sum() / (
            self.unit * sum(part.numel() for part in apart)
        )


@dataclass(frozen=True, eq=False)
class _Gap:
    """What lies between the matched points of two photos, scene units."""

    cells: Int[Tensor, " M"]
    corners: Int[Tensor, "4 M"]
    centers: Float[Tensor, "3 1"]
    rays: Float[Tensor, "3 M"]
    weighted_rays: Float[Tensor, "3 4 M"]

    @classmethod
    def of(cls, grid: PixelGrid, other: PixelGrid, matches: Matches, dtype: torch.dtype) -> _Gap:
        corners = matches.corners.T.contiguous()
        there = other.rays.to(dtype).flatten(0, 1)[corners] * matches.weights.T[..., None]
        return cls(
            matches.cells,
            corners,
            (grid.center - other.center).to(dtype)[:, None],
            grid.rays.to(dtype).flatten(0, 1)[matches.cells].T.contiguous(),
            there.permute(2, 0, 1).contiguous(),
        )

    def between(self, depth: Float[Tensor, "h w"], other: Float[Tensor, "h w"]) -> Float[Tensor, "3 M"]:
        own = depth.flatten().index_select(0, self.cells)
        there = other.flatten().index_select(0, self.corners.flatten()).view(self.corners.shape)
        return self.centers + self.rays * own - (self.weighted_rays * there).sum(1)


class FlowTerm:
    """The 3-D flow loss as a term of the objective, with the rendered photo as reference."""

    outputs: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self, gaussians: RayGaussians, flows: PointFlows, names: Sequence[str], weight: float, unit: float
    ) -> None:
        """Compare the depths of `gaussians`.

        Args:
            names: of the photos, in the order of the grids.
            weight, unit: factor on the loss, and length that it is measured in.
        """
        self._gaussians = gaussians
        self._loss = FlowLoss(gaussians.grids, flows, unit)
        self._index = {name: index for index, name in enumerate(names)}
        self.weight = weight

    def __call__(self, rendering: ops.Rasterization, view: TrainingView, progress: float) -> Tensor | None:
        loss = self._loss(self._gaussians.depths(), self._index[view.name])
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
