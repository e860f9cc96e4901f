"""Where the Gaussians start: one per trusted stereo pixel, or at random in the cameras' view."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from recon.errors import ReconError
from recon.methods.inputs import Inputs
from recon.splats import Gaussians
from recon.splats.initialize import gaussians_from_points, random_gaussians_in_frusta


@dataclass(frozen=True)
class InitialSettings:
    """The Gaussians that the training starts from."""

    kind: Literal["stereo", "random"] = "stereo"
    """From stereo points, or at random in the inputs' viewing frusta."""
    count: int = 60_000
    """Number of Gaussians at most: stereo points are thinned at random to it (radii grow to match), random ones are
    drawn."""
    opacity: float = 0.3
    """Initial opacity."""


def initial_gaussians(
    inputs: Inputs, settings: InitialSettings, sh_degree: int, generator: torch.Generator
) -> Gaussians:
    """Create the Gaussians that a training starts from.

    Raises:
        ReconError: when stereo found nothing to start from.
    """
    if settings.kind == "random":
        seed = int(torch.randint(2**31, (1,), generator=generator))
        cameras = [view.camera for view in inputs.views]
        return random_gaussians_in_frusta(
            cameras,
            settings.count,
            inputs.near,
            inputs.far,
            seed=seed,
            opacity=settings.opacity,
            sh_degree=sh_degree,
        )
    points = inputs.points
    if points is None or len(points.positions) == 0:
        raise ReconError(
            "stereo found no surface that two photos agree on, so there is nothing to start from; photos that overlap "
            "more will help, or try --set initial.kind=random"
        )
    chosen = np.arange(len(points.positions))
    growth = 1.0
    if len(chosen) > settings.count:
        order = torch.randperm(len(chosen), generator=generator)[: settings.count].numpy()
        # Fewer Gaussians cover the same surface: each grows by the square root of the thinning.
        growth = float(np.sqrt(len(chosen) / settings.count))
        chosen = np.sort(order)
    return gaussians_from_points(
        points.positions[chosen],
        points.colors[chosen],
        radii=points.radii[chosen] * growth,
        normals=None if points.normals is None else points.normals[chosen],
        opacity=settings.opacity,
        sh_degree=sh_degree,
    )
