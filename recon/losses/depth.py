"""The depth term: stay near the stereo depth where it is trusted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from recon import ops
from recon.train.views import TrainingView


@dataclass(frozen=True)
class DepthTerm:
    """Relative L1 to the view's target depth, weighted by its confidence (MVPGS, Xu et al. 2024, section 3.3).

    Attributes:
        weight: factor at the start of the training.
        final: fraction of the weight that is left at the end; it decays exponentially, so that late on the pictures
            decide.
    """

    weight: float = 0.1
    final: float = 0.1

    outputs: ClassVar[tuple[str, ...]] = ("depth",)

    def __call__(self, rendering: ops.Rasterization, view: TrainingView, progress: float) -> Tensor | None:
        if view.depth is None or view.depth_weight is None or rendering.depth is None:
            return None
        known = view.depth_weight * (view.depth > 0)
        error = (rendering.depth - view.depth).abs() / view.depth.clamp(min=1e-6)
        # A pixel off by more than its own depth tells nothing more: the cap keeps a few from ruling the mean.
        mean = (error.clamp(max=1.0) * known).sum() / known.sum().clamp(min=1.0)
        return self.weight * self.final**progress * mean
