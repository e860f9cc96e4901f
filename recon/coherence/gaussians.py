"""Gaussians that stay on the rays of the photos' pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from recon.coherence.fields import Field
from recon.coherence.grid import PixelGrid
from recon.splats import Gaussians
from recon.splats.gaussians import SH_C0
from recon.train.parameters import LearningRates, adam_update

FOOTPRINT = 0.6
"""Standard deviation over the cell's size on the surface: CoherentGS's radius 1.2 tan(FoV / 2) z / H, in the units of a
cell (z / f)."""
NEAREST = 0.05
"""No Gaussian comes nearer than this share of the nearest first depth: the decoder reaches behind the camera."""


@dataclass(frozen=True)
class RaySettings:
    """How the Gaussians move along their rays, and when they are let go."""

    depth_range: float = 37.5
    """Largest change of depth, in units of the nearest first depth (the paper's 50 where the near bound is 4/3)."""
    opacity: float = 0.0
    """First opacity; 0 for the paper's choice by the number of views, 0.6, 0.5 and 0.35 for two, three and more."""
    opacity_range: float = 100.0
    """Largest change of the opacity's logit."""
    radius_every: int = 100
    """Iterations between two settings of the radii to the depths."""
    release: float = 0.615
    """Fraction of the training after which scales and rotations are free and radii no longer follow the depths."""


def footprint(depth: Tensor, focal: float) -> Tensor:
    """Return the standard deviation of a Gaussian that covers one cell at a depth."""
    return FOOTPRINT * depth / focal


def first_opacity(views: int) -> float:
    """Return CoherentGS's first opacity: the more views, the more layers lie over each other."""
    return {1: 0.6, 2: 0.6, 3: 0.5}.get(views, 0.35)


class RayGaussians:
    """One Gaussian per cell, at x = centre + ray (z0 + dz); dz and the opacity's logit come from fields.

    The radius follows the depth until `release`; scale, rotation and colour are then free. It takes the place of
    `OptimizedGaussians` in the trainer, but its Gaussians can be neither added nor removed.
    """

    NAMES = ("log_scales", "quaternions", "sh")

    def __init__(
        self,
        grids: Sequence[PixelGrid],
        geometry: Field,
        opacity: Field,
        settings: RaySettings,
        rates: LearningRates,
        sh_degree: int,
    ) -> None:
        self.grids = list(grids)
        self.geometry, self.opacity = geometry, opacity
        self.settings, self.rates = settings, rates
        self.steps = 0
        first = settings.opacity or first_opacity(len(self.grids))
        self._first_logit = math.log(first / (1 - first))
        self._nearest = min(float(grid.depth[grid.used].min()) for grid in self.grids)
        self._flat = [grid.used.reshape(-1).nonzero()[:, 0] for grid in self.grids]
        self._centers = torch.cat(
            [grid.center.expand(len(flat), 3) for grid, flat in zip(self.grids, self._flat, strict=True)]
        )
        self._rays = torch.cat([self._taken(index, grid.rays) for index, grid in enumerate(self.grids)])
        colors = torch.cat([self._taken(index, grid.color) for index, grid in enumerate(self.grids)])
        count, device = len(colors), colors.device
        sh = torch.zeros(count, (sh_degree + 1) ** 2, 3, device=device)
        sh[:, 0] = (colors - 0.5) / SH_C0
        start = {
            "log_scales": torch.zeros(count, 3, device=device),
            "quaternions": torch.tensor([1.0, 0, 0, 0], device=device).repeat(count, 1),
            "sh": sh,
        }
        self.leaves = {name: tensor.requires_grad_(True) for name, tensor in start.items()}
        self._moments = {
            name: [torch.zeros_like(leaf, requires_grad=False) for _ in range(2)]
            for name, leaf in self.leaves.items()
        }
        self._current: tuple[list[Tensor], Gaussians] | None = None
        self._set_radii()

    def __len__(self) -> int:
        return len(self._rays)

    @property
    def gaussians(self) -> Gaussians:
        """The current Gaussians; gradients flow to the fields and to the free attributes."""
        return self._evaluated()[1]

    def depths(self) -> list[Float[Tensor, "h w"]]:
        """Return the current depth of every photo's cells, in the same graph as `gaussians`."""
        return self._evaluated()[0]

    def _evaluated(self) -> tuple[list[Tensor], Gaussians]:
        if self._current is None:
            reach = self.settings.depth_range * self._nearest
            depths = [
                (grid.depth + reach * change).clamp(min=NEAREST * self._nearest)
                for grid, change in zip(self.grids, self.geometry.values(), strict=True)
            ]
            logits = [
                self._first_logit + self.settings.opacity_range * change for change in self.opacity.values()
            ]
            along = torch.cat([self._taken(index, depth) for index, depth in enumerate(depths)])
            gaussians = Gaussians(
                means=self._centers + self._rays * along[:, None],
                opacity_logits=torch.cat([self._taken(index, logit) for index, logit in enumerate(logits)]),
                **self.leaves,
            )
            self._current = depths, gaussians
        return self._current

    def _taken(self, index: int, values: Float[Tensor, "h w ..."]) -> Float[Tensor, "n ..."]:
        return values.flatten(0, 1).index_select(0, self._flat[index])

    @torch.no_grad()
    def _set_radii(self) -> None:
        depths = self.depths()
        radii = [
            footprint(self._taken(index, depth), math.sqrt(grid.camera.fx * grid.camera.fy))
            for index, (grid, depth) in enumerate(zip(self.grids, depths, strict=True))
        ]
        self.leaves["log_scales"].copy_(torch.cat(radii).log()[:, None].expand(-1, 3))
        self._current = None

    def learning_rate(self, name: str, progress: float) -> float:
        """Return an attribute's step size: scales and rotations rest until they are released."""
        if name in ("log_scales", "quaternions") and progress < self.settings.release:
            return 0.0
        return self.rates.at(name, progress)

    def step(self, progress: float, visible: Bool[Tensor, " N"] | None) -> None:
        """Update fields and free attributes from their gradients, clear those, and let the radii follow the depths."""
        self.steps += 1
        self.geometry.step(progress)
        self.opacity.step(progress)
        adam_update(
            self.leaves,
            self._moments,
            self.rates,
            lambda name: self.learning_rate(name, progress),
            step=self.steps,
            visible=visible,
        )
        self._current = None
        if self.steps % self.settings.radius_every == 0 and progress < self.settings.release:
            self._set_radii()

    def state(self) -> dict[str, Tensor]:
        state = {name: leaf.detach() for name, leaf in self.leaves.items()}
        for name, (first, second) in self._moments.items():
            state[f"{name}.first_moment"] = first
            state[f"{name}.second_moment"] = second
        for part, field in (("geometry", self.geometry), ("opacity", self.opacity)):
            state.update({f"{part}.{name}": tensor for name, tensor in field.state().items()})
        state["steps"] = torch.tensor(self.steps)
        return state

    @torch.no_grad()
    def load_state(self, state: dict[str, Tensor]) -> None:
        for name, leaf in self.leaves.items():
            leaf.copy_(state[name])
            self._moments[name][0].copy_(state[f"{name}.first_moment"])
            self._moments[name][1].copy_(state[f"{name}.second_moment"])
        for part, field in (("geometry", self.geometry), ("opacity", self.opacity)):
            field.load_state(
                {
                    name.removeprefix(f"{part}."): tensor
                    for name, tensor in state.items()
                    if name.startswith(f"{part}.")
                }
            )
        self.steps = int(state["steps"])
        self._current = None
