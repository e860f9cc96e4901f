"""Refining camera poses and focal lengths through the rasterizer's camera gradients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from recon.train.views import TrainingView


@dataclass(frozen=True)
class CameraRefinementSettings:
    """Joint refinement of cameras and scene; off for given poses unless asked for."""

    enabled: bool = False
    """Refine the cameras of the input photos while training."""
    rotation: float = 2e-4
    """Step of the rotations, radians."""
    translation: float = 2e-4
    """Step of the translations, as a fraction of the median depth."""
    log_focal: float = 0.0
    """Step of the logarithm of the focal length that all views share; 0 keeps it fixed."""
    start: float = 0.1
    """Fraction of the training after which cameras may move."""


def se3_exp(twist: Float[Tensor, " 6"]) -> Float[Tensor, "4 4"]:
    """Map a twist (translation, rotation vector) to a rigid transform; smooth at zero."""
    zero = twist.new_zeros(())
    x, y, z = twist[3:].unbind()
    generator = torch.stack(
        [
            torch.stack([zero, -z, y, twist[0]]),
            torch.stack([z, zero, -x, twist[1]]),
            torch.stack([-y, x, zero, twist[2]]),
            torch.stack([zero, zero, zero, zero]),
        ]
    )
    return torch.linalg.matrix_exp(generator)


class CameraRefinement:
    """A left se(3) perturbation per photo and one shared focal scale, optimised by Adam beside the Gaussians.

    The first photo stays fixed: it holds the world in place.
    """

    def __init__(
        self, photos: Sequence[TrainingView], settings: CameraRefinementSettings, median_depth: float
    ) -> None:
        self.settings = settings
        self._index = {view.name: i for i, view in enumerate(photos)}
        device = photos[0].image.device
        self.twists = torch.zeros(len(photos), 6, device=device, requires_grad=True)
        self.log_focal = torch.zeros((), device=device, requires_grad=True)
        rates = [settings.translation * median_depth] * 3 + [settings.rotation] * 3
        self._rates = torch.tensor(rates, device=device)
        self._first = torch.zeros(len(photos), 6, device=device), torch.zeros((), device=device)
        self._second = torch.zeros(len(photos), 6, device=device), torch.zeros((), device=device)
        self._steps = torch.zeros(len(photos) + 1)

    def refined(self, view: TrainingView) -> tuple[Tensor, Tensor]:
        """Return the view's refined pose [4, 4] and intrinsics [4]."""
        index = self._index[view.name]
        pose = view.world_to_camera
        if index > 0:
            pose = se3_exp(self.twists[index]) @ pose
        scale = self.log_focal.exp()
        intrinsics = torch.cat([view.intrinsics[:2] * scale, view.intrinsics[2:]])
        return pose, intrinsics

    @torch.no_grad()
    def step(self, progress: float) -> None:
        """Move the cameras against their gradients."""
        moving = progress >= self.settings.start
        if moving and self.twists.grad is not None:
            for index in torch.nonzero(self.twists.grad.abs().sum(1)).flatten().tolist():
                self._steps[index] += 1
                self.twists[index] -= self._rates * _adam_direction(
                    self.twists.grad[index],
                    self._first[0][index],
                    self._second[0][index],
                    float(self._steps[index]),
                )
        if moving and self.settings.log_focal > 0 and self.log_focal.grad is not None:
            self._steps[-1] += 1
            self.log_focal -= self.settings.log_focal * _adam_direction(
                self.log_focal.grad, self._first[1], self._second[1], float(self._steps[-1])
            )
        self.twists.grad = None
        self.log_focal.grad = None

    def state(self) -> dict[str, Tensor]:
        return {
            "twists": self.twists.detach(),
            "log_focal": self.log_focal.detach(),
            "twists.first": self._first[0],
            "log_focal.first": self._first[1],
            "twists.second": self._second[0],
            "log_focal.second": self._second[1],
            "steps": self._steps,
        }

    @torch.no_grad()
    def load_state(self, state: dict[str, Tensor]) -> None:
        self.twists.copy_(state["twists"])
        self.log_focal.copy_(state["log_focal"])
        for i, name in enumerate(("twists", "log_focal")):
            self._first[i].copy_(state[f"{name}.first"])
            self._second[i].copy_(state[f"{name}.second"])
        self._steps.copy_(state["steps"])


def _adam_direction(gradient: Tensor, first: Tensor, second: Tensor, step: float) -> Tensor:
    first.lerp_(gradient, 0.1)
    second.lerp_(gradient.square(), 0.001)
    return (first / (1 - 0.9**step)) / ((second / (1 - 0.999**step)).sqrt() + 1e-15)
