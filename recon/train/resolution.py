"""Smaller pictures first: large ones show detail that Gaussians can fit before their shape is right."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from recon.datasets.resize import area_average
from recon.train.views import TrainingView


@dataclass(frozen=True)
class ResolutionSettings:
    """Large pictures are trained at a smaller size first."""

    coarse_until: float = 0.0
    """Fraction of the training that sees the pictures at the size at which stereo matched them, where that is smaller
    than theirs; 0 for none of it."""


class ResolutionSchedule:
    """Hands out each view at the size that it is trained at now.

    It has no state of its own: the size follows from the progress, the smaller picture from the view.
    """

    def __init__(self, settings: ResolutionSettings, shrink: float) -> None:
        """Divide the sides of the smaller pictures by `shrink`."""
        self.settings = settings
        self.shrink = shrink
        self._smaller: dict[str, TrainingView] = {}

    def at(self, view: TrainingView, progress: float) -> TrainingView:
        """Return the view at the size of this fraction of the training."""
        if progress >= self.settings.coarse_until:
            self._smaller.clear()
            return view
        if view.name not in self._smaller:
            self._smaller[view.name] = reduced(view, self.shrink)
        return self._smaller[view.name]


def reduced(view: TrainingView, shrink: float) -> TrainingView:
    """Return the view with sides shorter by this factor, every pixel the mean of the area that it covers.

    A pixel has a picture where its whole area has one. Depth is not averaged, because no surface lies between two: it
    is that of the pixel's middle.
    """
    width, height = max(1, round(view.width / shrink)), max(1, round(view.height / shrink))
    if shrink <= 1 or (width, height) == (view.width, view.height):
        return view

    def averaged(values: Tensor) -> Tensor:
        return torch.as_tensor(area_average(np.asarray(values.cpu()), width, height), device=values.device)

    def middle(values: Tensor | None) -> Tensor | None:
        if values is None:
            return None
        rows = ((torch.arange(height) + 0.5) * view.height / height).long().to(values.device)
        columns = ((torch.arange(width) + 0.5) * view.width / width).long().to(values.device)
        return values[rows][:, columns].contiguous()

    sides = view.intrinsics.new_tensor([width / view.width, height / view.height] * 2)
    weight = view.weight
    if weight is not None:
        whole = averaged((weight > 0).to(weight.dtype)) > WHOLE
        weight = torch.where(whole, averaged(weight), 0.0)
    return replace(
        view,
        image=averaged(view.image),
        intrinsics=view.intrinsics * sides,
        weight=weight,
        depth=middle(view.depth),
        depth_weight=middle(view.depth_weight),
    )


WHOLE = 0.999
"""Share of a smaller pixel's area from which all of it counts as covered: averages are off by rounding."""
