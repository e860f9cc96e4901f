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
from recon.stereo import PointCloud, fuse_points
from recon.stereo.backdrop import backdrop_points
from recon.stereo.continuation import continued_depth, joined
from recon.train.rules import DensitySettings


@dataclass(frozen=True)
class InitialSettings:
    """The Gaussians that the training starts from."""

    kind: Literal["stereo", "random"] = "stereo"
    """From stereo points, or at random in the inputs' viewing frusta."""
    count: int = 100_000
    """Number of Gaussians at most: stereo points are thinned at random to it (radii grow to match), random ones are
    drawn."""
    opacity: float = 0.15
    """Initial opacity: low, so that what several photos see is built by all of them, and wrong points are soon gone."""
    continuation_cell: int = 3
    """With stereo: side of the cells in which planes, and the insides of outlines, are continued where stereo knows
    nothing, in pixels of the size at which stereo matched; 0 for no continuation."""
    backdrop_cell: int = 12
    """With stereo: side of the coarse cells behind the points, which close gaps, in pixels of the size at which stereo
    matched (larger photos have gaps as much larger); 0 for no backdrop."""


def expected_count(initial: InitialSettings, density: DensitySettings) -> int:
    """Return how many Gaussians a training ends with at most.

    Where their number has no limit, twice as many are counted as it starts with: `splat` ended with 1.8 times as many
    (docs/results.md).
    """
    return density.max_gaussians or 2 * initial.count


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
    if points is None or len(points) == 0:
        raise ReconError(
            "stereo found no surface that two photos agree on, so there is nothing to start from; photos that overlap "
            "more will help, or try --set initial.kind=random"
        )
    parts = [_thinned(points, settings, sh_degree, generator)]
    depths = inputs.depths
    if settings.continuation_cell > 0:
        cell = max(1, round(settings.continuation_cell * inputs.stride))
        guesses = continued_depth(inputs.views, depths, points, cell)
        continued = fuse_points(inputs.views, guesses, stride=cell)
        if len(continued):
            parts.append(_at_points(continued, 1.0, settings.opacity, sh_degree))
        depths = [joined(depth, guess) for depth, guess in zip(depths, guesses, strict=True)]
    if settings.backdrop_cell > 0:
        cell = round(settings.backdrop_cell * inputs.stride)
        backdrop = backdrop_points(inputs.views, depths, cell)
        parts.append(_at_points(backdrop, 1.0, settings.opacity, sh_degree))
    return Gaussians.concatenate(parts)


def _thinned(
    points: PointCloud, settings: InitialSettings, sh_degree: int, generator: torch.Generator
) -> Gaussians:
    """Place Gaussians at a random choice of the points; fewer cover the same surface, so each is larger."""
    if len(points) <= settings.count:
        return _at_points(points, 1.0, settings.opacity, sh_degree)
    order = torch.randperm(len(points), generator=generator)[: settings.count].numpy()
    growth = float(np.sqrt(len(points) / settings.count))
    return _at_points(points[np.sort(order)], growth, settings.opacity, sh_degree)


def _at_points(points: PointCloud, growth: float, opacity: float, sh_degree: int) -> Gaussians:
    return gaussians_from_points(
        points.positions,
        points.colors,
        radii=points.radii * (0.5 * growth),
        normals=points.normals,
        opacity=opacity,
        sh_degree=sh_degree,
    )
