"""The Gaussians under optimisation: leaf tensors, their Adam moments, and surgery on both at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from recon import ops
from recon.splats import Gaussians

SH_CONSTANT_VALUES = 3
"""The first values of a row of `sh` are the constant coefficients of red, green and blue; they learn faster."""


@dataclass(frozen=True)
class LearningRates:
    """Step sizes of Adam per attribute; the defaults are 3DGS's (Kerbl et al. 2023, released training options).

    The step of the centres is given in pixels, so that it needs no notion of a scene's extent: one pixel is the
    median Gaussian's depth over focal length, as seen by the input views.
    """

    means_pixels: float = 0.065
    """Step of the centres at the start, in pixels at the median depth."""
    means_final: float = 0.01
    """Factor that the step of the centres has decayed to at the end (exponentially)."""
    log_scales: float = 5e-3
    """Step of the logarithmic scales at the start."""
    log_scales_final: float = 1.0
    """Factor that the step of the logarithmic scales has decayed to at the end (exponentially)."""
    quaternions: float = 1e-3
    """Step of the rotations."""
    opacity_logits: float = 5e-2
    """Step of the opacity logits."""
    sh_constant: float = 2.5e-3
    """Step of the constant colour coefficient."""
    sh_rest: float = 1.25e-4
    """Step of the view-dependent colour coefficients."""

    def at(self, name: str, progress: float) -> float:
        """Return an attribute's step at a fraction `progress` of the training: of "means" in pixels, of "sh" that of
        the constant coefficient."""
        if name == "means":
            return self.means_pixels * self.means_final**progress
        if name == "log_scales":
            return self.log_scales * self.log_scales_final**progress
        return self.sh_constant if name == "sh" else getattr(self, name)


class OptimizedGaussians:
    """Gaussian parameters as leaf tensors with sparse Adam."""

    NAMES = ("means", "log_scales", "quaternions", "opacity_logits", "sh")

    def __init__(self, gaussians: Gaussians, rates: LearningRates, pixel_size: float) -> None:
        """Start from `gaussians`.

        Args:
            pixel_size: world size of one pixel at the median depth.
        """
        self.rates = rates
        self.pixel_size = pixel_size
        self.steps = 0
        self._set_parameters(gaussians.tensors())
        self._moments = {name: _zero_moments(leaf) for name, leaf in self.leaves.items()}

    def __len__(self) -> int:
        return len(self.leaves["means"])

    def _set_parameters(self, parameters: dict[str, Tensor]) -> None:
        self.leaves = {
            name: tensor.detach().clone().requires_grad_(True) for name, tensor in parameters.items()
        }

    @property
    def gaussians(self) -> Gaussians:
        """The current Gaussians; gradients flow to the leaves."""
        return Gaussians(**self.leaves)

    def learning_rate(self, name: str, progress: float) -> float:
        """Return an attribute's step size at a fraction `progress` of the training."""
        rate = self.rates.at(name, progress)
        return rate * self.pixel_size if name == "means" else rate

    def step(self, progress: float, visible: Bool[Tensor, " N"] | None) -> None:
        """Update the visible Gaussians from their gradients and clear the gradients."""
        self.steps += 1
        adam_update(
            self.leaves,
            self._moments,
            self.rates,
            lambda name: self.learning_rate(name, progress),
            step=self.steps,
            visible=visible,
        )

    @torch.no_grad()
    def keep(self, index: Bool[Tensor, " N"] | Int[Tensor, " M"]) -> None:
        """Keep only the selected Gaussians, with their moments."""
        self._set_parameters({name: leaf[index] for name, leaf in self.leaves.items()})
        self._moments = {name: [m[index] for m in pair] for name, pair in self._moments.items()}

    @torch.no_grad()
    def append(self, gaussians: Gaussians) -> None:
        """Add Gaussians with zero moments."""
        fresh = gaussians.tensors()
        self._moments = {
            name: [torch.cat([m, torch.zeros_like(fresh[name])]) for m in pair]
            for name, pair in self._moments.items()
        }
        self._set_parameters({name: torch.cat([leaf, fresh[name]]) for name, leaf in self.leaves.items()})

    @torch.no_grad()
    def set_leaf(self, name: str, values: Tensor) -> None:
        """Overwrite one attribute in place, moments untouched."""
        self.leaves[name].copy_(values)

    def state(self) -> dict[str, Tensor]:
        state = {name: leaf.detach() for name, leaf in self.leaves.items()}
        for name, (first, second) in self._moments.items():
            state[f"{name}.first_moment"] = first
            state[f"{name}.second_moment"] = second
        state["steps"] = torch.tensor(self.steps)
        return state

    def load_state(self, state: dict[str, Tensor]) -> None:
        device = self.leaves["means"].device
        self._set_parameters({name: state[name].to(device) for name in self.NAMES})
        self._moments = {
            name: [state[f"{name}.first_moment"].to(device), state[f"{name}.second_moment"].to(device)]
            for name in self.NAMES
        }
        self.steps = int(state["steps"])


def adam_update(
    leaves: Mapping[str, Tensor],
    moments: Mapping[str, list[Tensor]],
    rates: LearningRates,
    learning_rate: Callable[[str], float],
    *,
    step: int,
    visible: Bool[Tensor, " N"] | None,
) -> None:
    """Move attributes of Gaussians by their gradients with Adam, and clear the gradients.

    Args:
        moments: first and second of every attribute, updated in place.
        learning_rate: step size of an attribute; of "sh" that of the constant part, the rest has `rates.sh_rest`.
        step: counted from 1.
        visible: the Gaussians that are moved; None for all.
    """
    for name, leaf in leaves.items():
        if leaf.grad is None:
            continue
        first, second = moments[name]
        ops.adam_step(
            leaf.detach(),
            leaf.grad,
            first,
            second,
            step=step,
            learning_rate=learning_rate(name),
            rest_learning_rate=rates.sh_rest if name == "sh" else None,
            leading=SH_CONSTANT_VALUES if name == "sh" else None,
            visible=visible,
        )
        leaf.grad = None


def editable(source: object) -> OptimizedGaussians:
    """Return what a trainer optimises as Gaussians that a rule may edit.

    Raises:
        TypeError: when they are computed from something else, so that there is nothing to edit.
    """
    if not isinstance(source, OptimizedGaussians):
        raise TypeError(f"this rule edits OptimizedGaussians, but the trainer has {type(source).__name__}")
    return source


def _zero_moments(leaf: Tensor) -> list[Tensor]:
    return [torch.zeros_like(leaf, requires_grad=False) for _ in range(2)]
