"""New Gaussians of a frame: what comes into sight, grown where the photos pull hardest."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from recon import ops
from recon.queen.settings import BirthSettings
from recon.splats import Gaussians
from recon.streaming import Births, StreamState, births_of
from recon.streaming.state import attribute_values
from recon.train import LearningRates, OptimizedGaussians, TrainingView


class GrowthStatistics:
    """Mean view-space gradients over the steps in which a Gaussian was drawn (3DGS, section 5.2)."""

    def __init__(self, count: int, device: torch.device) -> None:
        self._gradient = torch.zeros(count, device=device)
        self._drawn = torch.zeros(count, device=device)

    def add(self, gradients: Float[Tensor, "N 2"], picture: ops.Rasterization, view: TrainingView) -> None:
        """Take in one step.

        Args:
            gradients: of the projected centres, in pixels; pictures count as two units wide and high.
        """
        half_size = gradients.new_tensor([view.width / 2, view.height / 2])
        drawn = picture.radii > 0
        self._gradient += torch.where(drawn, (gradients * half_size).norm(dim=1), 0.0)
        self._drawn += drawn

    def strongest(self, settings: BirthSettings) -> Int[Tensor, " B"]:
        """Return the Gaussians beside which new ones shall stand, at most `settings.most`."""
        mean = self._gradient / self._drawn.clamp(min=1)
        chosen = (mean > settings.gradient).nonzero()[:, 0]
        if len(chosen) > settings.most:
            chosen = chosen[mean[chosen].topk(settings.most).indices]
        return chosen.sort().values


class NewGaussians:
    """New Gaussians under optimisation, each beside the one that it came from, its parent."""

    def __init__(
        self,
        drawn: Gaussians,
        parents: Int[Tensor, " B"],
        settings: BirthSettings,
        pixel_size: float,
        generator: torch.Generator,
    ) -> None:
        """Start like the parents, at random places within them, and nearly transparent.

        Args:
            drawn: the Gaussians as the frame has them so far.
            parents: rows of these.
        """
        start = drawn.detach()[parents].map(torch.clone)
        spread = torch.randn(start.means.shape, generator=generator).to(start.means.device)
        start.means = start.means + spread * start.scales.mean(dim=1, keepdim=True)
        start.opacity_logits = torch.full_like(
            start.opacity_logits, float(torch.tensor(settings.opacity).logit())
        )
        self.parents = parents
        self._settings = settings
        self._optimized = OptimizedGaussians(start, LearningRates(), pixel_size)

    @property
    def gaussians(self) -> Gaussians:
        return self._optimized.gaussians

    def step(self, progress: float) -> None:
        """Update from the gradients and clear them."""
        self._optimized.step(progress, None)

    @torch.no_grad()
    def births(self, state: StreamState) -> Births | None:
        """Return those that have become visible, as the stream holds them; None where none has."""
        kept = self.gaussians.opacities >= self._settings.least_opacity
        if not kept.any():
            return None
        values = attribute_values(self.gaussians[kept])
        parents = self.parents[kept].cpu().numpy().astype(np.int32)
        return births_of(values, state, parents, None if state.anchors is None else state.anchors[parents])
