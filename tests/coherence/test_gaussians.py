"""Gaussians stay on their rays, have the footprint of their cell, and are released late."""

import pytest
import torch

from recon.coherence import DecoderSettings, RayGaussians, cell_size, footprint, pixel_grids
from recon.coherence.fields import DecodedField, FreeField
from recon.coherence.gaussians import RaySettings, first_opacity
from recon.train import LearningRates

RATES = LearningRates(log_scales=1e-3, quaternions=1e-3, sh_constant=1e-3)


def decoded(grids, generator, stride=1, **settings) -> RayGaussians:
    fields = [
        DecodedField(grids, DecoderSettings(rate=1e-2, stride=stride), 2, 5, generator) for _ in range(2)
    ]
    return RayGaussians(grids, *fields, RaySettings(radius_every=2, **settings), RATES, sh_degree=1)


def move(gaussians: RayGaussians, progress: float, steps: int) -> None:
    """Pull the centres outwards, opacities up, and everything else anywhere."""
    for _ in range(steps):
        current = gaussians.gaussians
        loss = -current.means.square().sum() - current.opacity_logits.sum()
        (loss + current.log_scales.sum() + current.sh.sum() + current.quaternions.sum()).backward()
        gaussians.step(progress, None)


def test_before_training_every_pixel_is_a_gaussian_of_its_colour_at_its_depth(room, grids, generator):
    gaussians = decoded(grids, generator).gaussians.detach()
    view = room.scene.train_views[0]
    assert len(gaussians) == 3 * 64 * 48
    pixels, z = view.camera.project(gaussians.means[: 64 * 48].numpy())
    assert abs(pixels - view.camera.pixel_centers().reshape(-1, 2)).max() < 1e-3
    assert abs(z - room.depths[view.name].reshape(-1)).max() < 1e-4
    color = 0.5 + 0.28209479 * gaussians.sh[: 64 * 48, 0]
    assert abs(color.numpy() - view.image.reshape(-1, 3)).max() < 1e-5
    torch.testing.assert_close(gaussians.opacities, torch.full((len(gaussians),), first_opacity(3)))


@pytest.mark.parametrize("stride", [1, 3])
def test_training_moves_gaussians_along_their_rays_only(room, grids, generator, stride):
    gaussians = decoded(grids, generator, stride)
    before = gaussians.gaussians.detach().means.clone()
    move(gaussians, 0.1, 6)
    after = gaussians.gaussians.detach().means
    assert (after - before).norm(dim=1).median() > 0.01
    camera = room.scene.train_views[1].camera
    pixels, _ = camera.project(after[64 * 48 : 2 * 64 * 48].numpy())
    assert abs(pixels - camera.pixel_centers().reshape(-1, 2)).max() < 1e-2


def test_radii_follow_the_depth_until_the_release_and_are_free_afterwards(grids, generator):
    gaussians = decoded(grids, generator)
    move(gaussians, 0.1, 2)
    depth = torch.cat([depth.flatten() for depth in gaussians.depths()]).detach()
    focal = grids[0].camera.fx
    torch.testing.assert_close(gaussians.gaussians.scales[:, 0].detach(), footprint(depth, focal))
    assert torch.equal(gaussians.gaussians.quaternions[:, 1:], torch.zeros(len(gaussians), 3))
    last = gaussians.gaussians.log_scales.detach().clone()
    move(gaussians, 0.7, 2)
    change = (gaussians.gaussians.log_scales - last).detach()
    assert (change < 0).all() and change.abs().max() < 0.01, "a small step of Adam, and no new radius"


def test_a_cell_of_two_pixels_has_twice_the_radius(room):
    views = room.scene.train_views
    depths = [room.depths[view.name] for view in views]
    radii = []
    for cell in (1, 2):
        grids = pixel_grids(views, depths, cell, 5)
        gaussians = RayGaussians(grids, FreeField(grids, 1), FreeField(grids, 1), RaySettings(), RATES, 0)
        radii.append(float(gaussians.gaussians.scales.detach().median()))
        assert len(gaussians) == 3 * 64 * 48 / cell**2
    assert radii[1] == pytest.approx(2 * radii[0], rel=0.02)


def test_cells_grow_until_the_gaussians_are_few_enough(room):
    views = room.scene.train_views
    assert cell_size(views, 10**6) == 1
    for count in (9000, 2000, 300):
        cell = cell_size(views, count)
        depths = [room.depths[view.name] for view in views]
        assert sum(int(grid.used.sum()) for grid in pixel_grids(views, depths, cell, 5)) <= 1.1 * count


def test_nothing_stands_where_there_is_no_picture(object_scene):
    views = object_scene.scene.train_views[:2]
    grids = pixel_grids(views, [object_scene.depths[view.name] for view in views], 1, 5)
    for grid, view in zip(grids, views, strict=True):
        assert view.mask is not None
        assert 0 < int(grid.used.sum()) <= int(view.mask.sum())


def test_depth_never_reaches_the_camera(grids, generator):
    gaussians = RayGaussians(grids, FreeField(grids, 1.0), FreeField(grids, 1.0), RaySettings(), RATES, 0)
    (sum(depth.sum() for depth in gaussians.depths())).backward()
    gaussians.step(0.0, None)
    assert all((depth > 0).all() for depth in gaussians.depths())


@pytest.mark.parametrize("kind", ["decoded", "free"])
def test_the_state_holds_all_that_a_step_depends_on(grids, generator, kind):
    def make(seed):
        source = torch.Generator().manual_seed(seed)
        if kind == "decoded":
            return decoded(grids, source)
        return RayGaussians(
            grids, FreeField(grids, 1e-3), FreeField(grids, 1e-3), RaySettings(radius_every=2), RATES, 1
        )

    whole, other = make(0), make(5)
    move(whole, 0.1, 3)
    saved = {name: tensor.clone() for name, tensor in whole.state().items()}
    move(whole, 0.2, 3)
    other.load_state(saved)
    move(other, 0.2, 3)
    for name, tensor in whole.state().items():
        assert torch.equal(tensor, other.state()[name]), name
