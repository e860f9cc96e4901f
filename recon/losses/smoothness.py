"""Smooth disparity: everywhere at first, within layers of depth later."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from recon import ops
from recon.train.views import TrainingView


class LayeredSmoothness:
    """weight * (g TV_layers + (1 - g) TV) of the rendered disparity 1 / (z / unit + 1).

    TV is the mean absolute second difference along rows and columns; TV_layers counts only differences whose three
    pixels lie in one depth layer, so that steps between layers cost nothing. g grows with the training.

    Source: CoherentGS (Paliwal et al. 2024), layered total variation.
    """

    outputs: ClassVar[tuple[str, ...]] = ("depth",)

    def __init__(
        self,
        layers: Mapping[str, Int[Tensor, "H W"]],
        weight: float,
        unit: float,
        first_share: float,
    ) -> None:
        """Smooth the disparity of the views named in `layers`.

        Args:
            layers: depth layer of each pixel, by the view's name.
            weight: factor on the term.
            unit: depth that has disparity one half.
            first_share: g at the start of the training; 1 at its end.
        """
        self._inside = {
            name: (_one_layer(label, dim=0), _one_layer(label, dim=1)) for name, label in layers.items()
        }
        self.weight, self.unit, self.first_share = weight, unit, first_share

    def __call__(self, rendering: ops.Rasterization, view: TrainingView, progress: float) -> Tensor | None:
        if rendering.depth is None or view.name not in self._inside:
            return None
        share = self.first_share + (1 - self.first_share) * progress
        disparity = 1 / (rendering.depth / self.unit + 1)
        inside = self._inside[view.name]
        total = disparity.new_zeros(())
        for dim in (0, 1):
            change = second_difference(disparity, dim).abs()
            total = total + (change * (share * inside[dim] + (1 - share))).mean()
        return self.weight * total


def second_difference(values: Float[Tensor, "H W"], dim: int) -> Float[Tensor, "h w"]:
    """Return a - 2 b + c of every three neighbours along a dimension."""
    return torch.diff(values, n=2, dim=dim)


def _one_layer(label: Int[Tensor, "H W"], dim: int) -> Float[Tensor, "h w"]:
    """Return 1 where three neighbours along a dimension have the same label."""
    length = label.shape[dim] - 2
    a, b, c = (label.narrow(dim, offset, length) for offset in range(3))
    return ((a == b) & (b == c)).float()
