"""Adaptive density control: grow where the view-space gradient is large, prune what has become transparent."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from recon.splats import Gaussians
from recon.splats.densify import clone, split
from recon.train.parameters import OptimizedGaussians, editable
from recon.train.trainer import Step, Trainer


@dataclass(frozen=True)
class DensitySettings:
    """Adaptive density control (3DGS section 5.2) with absolute gradients (AbsGS, Ye et al. 2024)."""

    start: float = 0.05
    """Fraction of the training before the first growth."""
    stop: float = 0.5
    """Fraction of the training after which nothing grows."""
    every: int = 100
    """Iterations between two rounds of growth and pruning."""
    gradient: float = 8e-4
    """Grow where the mean absolute view-space gradient exceeds this; pictures are two units wide and high."""
    split_radius: float = 8.0
    """Gaussians wider than this many pixels (three standard deviations) are split, smaller ones are cloned."""
    prune_opacity: float = 0.005
    """Gaussians below this opacity are removed."""
    max_gaussians: int = 0
    """No growth beyond this count; 0 asks for as many as half the free memory holds."""


class DensityControl:
    """Collects view-space gradients and grows and prunes by them."""

    def __init__(self, settings: DensitySettings, gaussians: OptimizedGaussians, max_gaussians: int) -> None:
        self.settings = settings
        self.max_gaussians = max_gaussians
        self._reset(len(gaussians), gaussians.leaves["means"].device)

    def _reset(self, count: int, device: torch.device) -> None:
        self._gradient = torch.zeros(count, device=device)
        self._seen = torch.zeros(count, device=device)
        self._radius = torch.zeros(count, device=device)

    def needs_screen_gradients(self, progress: float) -> bool:
        """Say whether a step at this fraction of the training still counts towards growth."""
        return progress < self.settings.stop

    def after_step(self, trainer: Trainer, step: Step) -> None:
        settings, total = self.settings, trainer.settings.iterations
        growing = trainer.iteration < settings.stop * total
        if growing and step.screen_gradients is not None:
            self._collect(step, step.screen_gradients)
        if trainer.iteration % settings.every == 0:
            if growing and trainer.iteration > settings.start * total:
                self._grow(trainer)
            self._prune(trainer)

    def _collect(self, step: Step, gradients: Tensor) -> None:
        visible = step.rendering.radii > 0
        half_size = gradients.new_tensor([step.view.width / 2, step.view.height / 2])
        norms = (gradients * half_size).norm(dim=1)
        self._gradient += torch.where(visible, norms, 0.0)
        self._seen += visible
        self._radius = torch.maximum(self._radius, step.rendering.radii.to(self._radius.dtype))

    def _grow(self, trainer: Trainer) -> None:
        gaussians = editable(trainer.gaussians)
        mean_gradient = self._gradient / self._seen.clamp(min=1)
        room = self.max_gaussians - len(gaussians)
        chosen = mean_gradient > self.settings.gradient
        if room <= 0 or not bool(chosen.any()):
            self._reset(len(gaussians), mean_gradient.device)
            return
        if int(chosen.sum()) > room:
            least = mean_gradient.topk(room).values[-1]
            chosen &= mean_gradient >= least
        wide = self._radius > self.settings.split_radius
        current = gaussians.gaussians
        fresh = Gaussians.concatenate(
            [clone(current, chosen & ~wide), split(current, chosen & wide, trainer.generator)]
        )
        gaussians.keep(~(chosen & wide))
        gaussians.append(fresh)
        self._reset(len(gaussians), mean_gradient.device)

    def _prune(self, trainer: Trainer) -> None:
        with torch.no_grad():
            opacities = editable(trainer.gaussians).leaves["opacity_logits"].sigmoid()
        keep = opacities >= self.settings.prune_opacity
        if bool(keep.all()) or not bool(keep.any()):
            return
        editable(trainer.gaussians).keep(keep)
        self._gradient, self._seen, self._radius = self._gradient[keep], self._seen[keep], self._radius[keep]

    def state(self) -> dict[str, Tensor]:
        return {"gradient": self._gradient, "seen": self._seen, "radius": self._radius}

    def load_state(self, state: dict[str, Tensor]) -> None:
        device = self._gradient.device
        self._gradient, self._seen, self._radius = (
            state[name].to(device) for name in ("gradient", "seen", "radius")
        )
