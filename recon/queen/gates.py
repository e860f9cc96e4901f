"""Hard-concrete gates: multipliers between 0 and 1 that reach both ends, and are pulled to 0."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from recon.queen.settings import GateSettings

LOG_ALPHA_LIMIT = math.log(1e3)
"""Beyond it gates would hardly move any more (QUEEN's released settings)."""


class HardConcreteGates:
    """One gate for each Gaussian, or for all Gaussians of a group.

    With concrete value c = sigmoid(log alpha / t), stretched to s = lowest + c (highest - lowest), a gate is s cut off
    to [0, 1]; it is open with probability P = sigmoid(log alpha - t log(-lowest / highest)).

    Source: QUEEN (Girish et al. 2024), section 3.3; hard-concrete gates are Louizos et al. 2018.
    """

    def __init__(
        self, difference: Float[Tensor, " R"], group: Int[Tensor, " R"] | None, settings: GateSettings
    ) -> None:
        """Start gates half open, or as open as the view-space gradient difference says: P = d / (d + median d).

        Args:
            difference: of each Gaussian; a group has the largest of its Gaussians'.
            group: group of each Gaussian; None for a gate each.
        """
        self.settings = settings
        self._group = group
        if group is not None:
            count = int(group.max()) + 1 if len(group) else 0
            largest = difference.new_zeros(count)
            difference = largest.scatter_reduce(0, group, difference, "amax", include_self=True)
        probability = torch.full_like(difference, 0.5)
        if settings.start == "gradients" and len(difference):
            probability = difference / (difference + difference.median()).clamp(min=1e-30)
        start = torch.logit(probability, eps=1e-6) + self._shift
        self.log_alpha = start.clamp(-LOG_ALPHA_LIMIT, LOG_ALPHA_LIMIT).requires_grad_(True)

    @property
    def groups(self) -> list[dict]:
        """What is optimised, for torch's optimisers."""
        return [{"params": [self.log_alpha], "lr": self.settings.rate}]

    def values(self) -> Float[Tensor, "R 1"]:
        """Return every Gaussian's gate."""
        s = self.settings
        concrete = torch.sigmoid(self.log_alpha / s.temperature)
        gates = (s.lowest + concrete * (s.highest - s.lowest)).clamp(0, 1)
        return (gates if self._group is None else gates[self._group])[:, None]

    def penalty(self) -> Tensor:
        """Return the weighted mean probability of being open."""
        return self.settings.penalty * torch.sigmoid(self.log_alpha - self._shift).mean()

    @torch.no_grad()
    def limit(self) -> None:
        """Keep every gate where its gradient can still move it."""
        self.log_alpha.clamp_(-LOG_ALPHA_LIMIT, LOG_ALPHA_LIMIT)

    @property
    def _shift(self) -> float:
        return self.settings.temperature * math.log(-self.settings.lowest / self.settings.highest)
