"""The colour term over several sizes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from recon import ops
from recon.train.views import TrainingView


@dataclass(frozen=True)
class MultiScaleTerm:
    """(1 - w) sum_l a_l L1_l + w (1 - SSIM), with L1 at sizes that are halved level by level (CoherentGS).

    Attributes:
        levels: sizes at which colours are compared; the weights are 1, 1/4, 1/8, 1/16 ... from fine to coarse.
        ssim_weight: w.
    """

    levels: int = 5
    ssim_weight: float = 0.2

    outputs: ClassVar[tuple[str, ...]] = ("color",)

    def __call__(self, rendering: ops.Rasterization, view: TrainingView, progress: float) -> Tensor:
        target = view.image
        if view.weight is not None:
            target = torch.where(view.weight[..., None] > 0, target, rendering.color.detach())
        l1, ssim = ops.l1_ssim(rendering.color, target, view.weight)
        total = l1
        difference = (rendering.color - target).permute(2, 0, 1)[None]
        for level in range(1, self.levels):
            if min(difference.shape[-2:]) < 2:
                break
            difference = F.avg_pool2d(difference, 2)
            total = total + level_weight(level) * difference.abs().mean()
        return (1 - self.ssim_weight) * total + self.ssim_weight * (1 - ssim)


def level_weight(level: int) -> float:
    """Return the weight of a level: 1 for the finest, then 1/4, 1/8, 1/16 ..."""
    return 1.0 if level == 0 else 0.5 ** (level + 1)
