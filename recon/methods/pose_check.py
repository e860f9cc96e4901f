"""The last check of estimated poses: a quick splat of the other photos, rendered at each photo that is left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray

from recon.errors import ReconError
from recon.methods.initialize import InitialSettings, initial_gaussians
from recon.methods.quality import QualityConfig, compose
from recon.methods.stereo_inputs import stereo_inputs
from recon.poses import EstimatedCamera
from recon.poses.holdout import COMPARED_SIZE, LEAST_PHOTOS, RenderingCheck, check_by_rendering
from recon.scene import View
from recon.splats.render import render
from recon.stereo import StereoSettings
from recon.train import LearningRates, TrainSettings

PICTURE_SIZE = COMPARED_SIZE
"""Longest side in pixels of the pictures that the quick splats are made of."""

NEIGHBORS = 4
"""A photo is rendered from so many others at most, the nearest: time then grows with the number of photos only."""

STEREO = StereoSettings(planes=64, exposures=False)
QUICK = QualityConfig(
    initial=InitialSettings(count=30_000, opacity=0.6, continuation_cell=0),
    train=TrainSettings(iterations=40, sh_degree=0, rates=LearningRates(means_pixels=0.02)),
    opacity_left=0.96,
)
"""Opaque from the start and with small steps, because there is no time to learn; the check's limits were measured with
these settings. Chosen by time: on five photos of fern, 40 iterations raise the share of the picture that can be matched
from 0.54 to 0.75 and cost as much as stereo."""

COVERED = 0.5
"""Accumulated opacity from which matched surface, without the backdrop, covers a pixel."""


def check_poses(
    cameras: Mapping[str, EstimatedCamera],
    views: Mapping[str, View],
    seed: int = 0,
    progress: Callable[[str, float], None] | None = None,
) -> RenderingCheck | None:
    """Render each photo from the others and compare; None when there are too few photos.

    Args:
        cameras: the estimated cameras.
        views: undistorted views by the same names, `PICTURE_SIZE` pixels long.
        seed: of the quick splats.
        progress: called with a sentence and the fraction done.
    """

    def draw(others: Sequence[str], left_out: str) -> tuple[ndarray, ndarray] | None:
        target = views[left_out]
        drawn = quick_picture(_nearest([views[name] for name in others], target), target, seed)
        if drawn is None or target.valid is None:
            return drawn
        return drawn[0], drawn[1] & target.valid

    if len(cameras) < LEAST_PHOTOS:
        return None
    pictures = {name: view.image for name, view in views.items()}
    return check_by_rendering(cameras, pictures, draw, progress)


def quick_picture(
    views: Sequence[View], target: View, seed: int = 0
) -> tuple[Float[ndarray, "H W 3"], Bool[ndarray, "H W"]] | None:
    """Reconstruct from a few views in seconds and render at another's camera, whose pixels are not looked at.

    Returns:
        The picture and where matched surface covers it; None when stereo finds no surface.
    """
    try:
        inputs = stereo_inputs(views, STEREO)
        generator = torch.Generator().manual_seed(seed)
        surface = initial_gaussians(inputs, replace(QUICK.initial, backdrop_cell=0), 0, generator)
    except ReconError:  # no two of these photos show the same surface
        return None
    covered = render(surface, target.camera).alpha >= COVERED
    trainer = compose(inputs, QUICK, seed, torch.device("cpu"))
    trainer.run()
    picture = render(trainer.gaussians.gaussians.detach(), target.camera).color
    return picture.clamp(0, 1).numpy(), covered.numpy()


def _nearest(views: Sequence[View], target: View) -> list[View]:
    """Return the views that stand nearest to the target, in their own order."""
    distances = np.array([np.linalg.norm(view.camera.center - target.camera.center) for view in views])
    return [views[index] for index in np.sort(np.argsort(distances, kind="stable")[:NEIGHBORS])]
