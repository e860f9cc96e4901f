"""Holes are what no Gaussian covers; a repair prior fills them behind what is there, and nothing else changes."""

from dataclasses import replace

import numpy as np
import torch

from recon.coherence.fields import FreeField
from recon.coherence.gaussians import RayGaussians, RaySettings
from recon.coherence.grid import pixel_grids
from recon.coherence.holes import fill_holes
from recon.priors import ClassicalInpainting
from recon.splats.coverage import coverage_mask
from recon.splats.render import render
from recon.train import LearningRates


def scene_with_a_hole(room):
    """One photo's Gaussians, opaque, and the camera of another photo, which sees beside and behind them."""
    view, other = room.scene.train_views[0], room.scene.train_views[1]
    grids = pixel_grids([view], [room.depths[view.name]], 1, 5)
    field = FreeField(grids, 1.0)
    with torch.no_grad():
        field.leaf.fill_(0.05)
    gaussians = RayGaussians(grids, FreeField(grids, 1.0), field, RaySettings(), LearningRates(), 0)
    return gaussians.gaussians.detach(), view.camera, other


def test_the_own_view_is_covered_and_another_has_holes(room):
    gaussians, camera, other = scene_with_a_hole(room)
    assert coverage_mask(gaussians, camera).float().mean() > 0.99
    covered = coverage_mask(gaussians, other.camera).float().mean()
    assert 0.3 < covered < 0.98


def test_filling_covers_the_hole_and_leaves_the_photos_view_alone(room):
    gaussians, camera, other = scene_with_a_hole(room)
    before = render(gaussians, other.camera)
    filled, added = fill_holes(gaussians, [other.camera], ClassicalInpainting())
    assert added > 0 and len(filled) == len(gaussians) + added
    assert torch.equal(filled.means[: len(gaussians)], gaussians.means)
    hole = ~coverage_mask(gaussians, other.camera)
    assert coverage_mask(filled, other.camera)[hole].float().mean() > 0.8
    truth = torch.as_tensor(other.image)
    after = render(filled, other.camera)
    assert (after.color - truth)[hole].square().mean() < 0.5 * (before.color - truth)[hole].square().mean()
    own = (render(filled, camera).color - render(gaussians, camera).color).abs()
    assert own.mean() < 0.01, "what is filled lies behind what the photo shows"


def test_the_prior_is_asked_only_about_holes(room):
    gaussians, _, other = scene_with_a_hole(room)
    asked = []

    def red(image, hole):
        asked.append(hole)
        return np.where(hole[..., None], np.array([1.0, 0, 0], np.float32), image)

    filled, added = fill_holes(gaussians, [other.camera], red)
    assert int(asked[0].sum()) == added
    colors = 0.5 + 0.28209479 * filled.sh[len(gaussians) :, 0]
    torch.testing.assert_close(colors, torch.tensor([1.0, 0, 0]).expand(added, 3), atol=1e-5, rtol=0)


def test_a_scene_without_holes_stays_as_it_is(room):
    gaussians, camera, _ = scene_with_a_hole(room)
    inner = replace(
        camera, cx=camera.cx - 8, cy=camera.cy - 8, width=camera.width - 16, height=camera.height - 16
    )
    assert coverage_mask(gaussians, inner).all(), "the test needs a view without holes"
    assert fill_holes(gaussians, [inner], ClassicalInpainting()) == (gaussians, 0)


def test_something_is_put_behind_what_background_shows_through(room):
    gaussians, camera, _ = scene_with_a_hole(room)
    pixels, _ = camera.project(gaussians.means.numpy())
    thin = torch.as_tensor(pixels[:, 0] < camera.width / 2)
    gaussians.opacity_logits[thin] = -0.5
    before = render(gaussians, camera).alpha[:, : camera.width // 2 - 2]
    assert 0.5 < before.mean() < 0.9, "the test needs a thin place that counts as covered"
    filled, added = fill_holes(gaussians, [camera], ClassicalInpainting())
    after = render(filled, camera).alpha[:, : camera.width // 2 - 2]
    assert added > 0 and after.mean() > 0.95
