"""Dropping Gaussians at random while training, so that none relies on its neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from recon.splats.dropout import drop_probability, local_density
from recon.train.parameters import OptimizedGaussians


@dataclass(frozen=True)
class DropoutSettings:
    """Depth-and-density guided dropout (D2GS); survivors are scaled up as in DropGaussian (Park et al. 2025)."""

    start_rate: float = 0.05
    """Mean drop probability at the start of the training."""
    end_rate: float = 0.3
    """Mean drop probability at the end of the training; 0 for no dropout at all."""
    refresh: int = 200
    """Iterations after which the local densities are computed anew."""


class GuidedDropout:
    """Draws, each step, which Gaussians take part; the others get opacity zero."""

    def __init__(self, settings: DropoutSettings) -> None:
        self.settings = settings
        self._density = torch.empty(0)
        self._round = -1

    def factors(
        self,
        gaussians: OptimizedGaussians,
        camera_center: Tensor,
        progress: float,
        generator: torch.Generator,
    ) -> Tensor | None:
        """Return a factor per opacity: 0 for the dropped, 1 / (1 - probability) for the others."""
        settings = self.settings
        rate = settings.start_rate + (settings.end_rate - settings.start_rate) * progress
        if rate <= 0:
            return None
        means = gaussians.leaves["means"].detach()
        probability = drop_probability(
            (means - camera_center).norm(dim=1), self._local_density(gaussians), rate
        )
        dropped = torch.rand(len(means), generator=generator).to(means.device) < probability
        return torch.where(dropped, 0.0, 1.0 / (1.0 - probability))

    def _local_density(self, gaussians: OptimizedGaussians) -> Tensor:
        due = gaussians.steps // self.settings.refresh
        if len(self._density) != len(gaussians) or due != self._round:
            self._density = local_density(gaussians.leaves["means"])
            self._round = due
        return self._density

    def state(self) -> dict[str, Tensor]:
        # The density is that of an earlier step's centres: without it a resumed run would draw other Gaussians.
        return {"density": self._density, "round": torch.tensor(self._round)}

    def load_state(self, state: dict[str, Tensor]) -> None:
        self._density = state["density"]
        self._round = int(state["round"])
