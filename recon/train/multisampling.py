"""Rendering finer than the photo and averaging, so that Gaussians learn what a pixel averages over."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from recon import ops


@dataclass(frozen=True)
class Multisampling:
    """Render at a random whole multiple of the photo's size, late in the training (CoherentGS, multisampling)."""

    highest: int = 4
    """Largest multiple per side; 1 for no multisampling."""
    start: float = 0.385
    """Fraction of the training from which it is used."""

    def samples(self, progress: float, generator: torch.Generator) -> int:
        """Draw the multiple of one step."""
        if self.highest <= 1 or progress < self.start:
            return 1
        return int(torch.randint(1, self.highest + 1, (1,), generator=generator))


def pooled(rendering: ops.Rasterization, samples: int) -> ops.Rasterization:
    """Average blocks of `samples` x `samples` pixels; depth is averaged with the opacities as weights.

    Other outputs are not pooled, and are left out.
    """
    if samples == 1:
        return rendering
    alpha = _pool(rendering.alpha[..., None], samples)[..., 0]
    depth = None
    if rendering.depth is not None:
        summed = _pool((rendering.depth * rendering.alpha)[..., None], samples)[..., 0]
        depth = torch.where(alpha > 0, summed / alpha.clamp(min=1e-6), 0.0)
    return replace(
        rendering,
        color=_pool(rendering.color, samples),
        alpha=alpha,
        depth=depth,
        median_depth=None,
        normal=None,
        features=None,
    )


def _pool(values: Tensor, samples: int) -> Tensor:
    return F.avg_pool2d(values.permute(2, 0, 1)[None], samples)[0].permute(1, 2, 0)
