"""Two ways to get rid of Gaussians that no picture needs: decay their opacity steadily, or reset it now and then."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from recon.train.parameters import editable

if TYPE_CHECKING:
    from recon.train.trainer import Step, Trainer


class OpacityDecay:
    """Multiply every opacity by a factor slightly below one, so that only Gaussians with steady gradients survive.

    The factor follows the length of the training: what no picture supports ends at the same share of its opacity after
    600 iterations as after 5000.

    Source: Binocular3DGS (Han et al. 2024), section 3.3, where the factor is fixed at 0.995.
    """

    EVERY = 10
    """Applied this seldom, to the matching power, because it touches every Gaussian."""

    def __init__(self, left: float, start: float = 0.05) -> None:
        """Leave `left` (in (0, 1]) of an opacity at the end, decaying from the fraction `start` of the training on."""
        if not 0 < left <= 1:
            raise ValueError(f"what is left of the opacities must be in (0, 1], got {left}")
        self.left = left
        self.start = start

    def needs_screen_gradients(self, progress: float) -> bool:
        return False

    @torch.no_grad()
    def after_step(self, trainer: Trainer, step: Step) -> None:
        total = trainer.settings.iterations
        if trainer.iteration % self.EVERY or trainer.iteration <= self.start * total:
            return
        gaussians = editable(trainer.gaussians)
        logits = gaussians.leaves["opacity_logits"]
        factor = self.left ** (self.EVERY / ((1 - self.start) * total))
        opacities = (logits.sigmoid() * factor).clamp(1e-6, 1 - 1e-6)
        gaussians.set_leaf("opacity_logits", torch.logit(opacities))

    def state(self) -> dict[str, Tensor]:
        return {}

    def load_state(self, state: dict[str, Tensor]) -> None:
        return None


class OpacityReset:
    """Pull all opacities down to a low value every so often (3DGS, Kerbl et al. 2023, section 5.2)."""

    CEILING = 0.01

    def __init__(self, every: int, stop: float) -> None:
        """Reset every `every` iterations until the fraction `stop` of the training."""
        self.every = every
        self.stop = stop

    def needs_screen_gradients(self, progress: float) -> bool:
        return False

    @torch.no_grad()
    def after_step(self, trainer: Trainer, step: Step) -> None:
        if trainer.iteration % self.every or trainer.iteration > self.stop * trainer.settings.iterations:
            return
        gaussians = editable(trainer.gaussians)
        logits = gaussians.leaves["opacity_logits"]
        ceiling = torch.logit(logits.new_tensor(self.CEILING))
        gaussians.set_leaf("opacity_logits", logits.clamp(max=ceiling))

    def state(self) -> dict[str, Tensor]:
        return {}

    def load_state(self, state: dict[str, Tensor]) -> None:
        return None
