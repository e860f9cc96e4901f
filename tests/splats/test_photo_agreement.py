"""The expected error of a view: small where photos and Gaussians say the same, large where either differs."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from recon.evaluation.calibration import confidence_correlation, pixel_error
from recon.ops import Rasterization
from recon.scene import Camera
from recon.splats.gaussians import Gaussians
from recon.splats.initialize import gaussians_from_points
from recon.splats.photo_agreement import (
    NOTHING,
    SHOWS_THROUGH,
    UNSEEN,
    Witness,
    blend_disagreement,
    expected_error,
    photo_disagreement,
    view_confidence,
    witnesses,
)
from recon.splats.render import render


@pytest.fixture
def inputs(textured_scene) -> list[Witness]:
    """The room's photos."""
    return witnesses(textured_scene.scene.train_views)


@pytest.fixture
def truth(textured_scene) -> tuple[Camera, Rasterization]:
    """A held-out view, drawn without a fault."""
    view = textured_scene.scene.test_views[0]
    return view.camera, drawn(view.image, textured_scene.depths[view.name])


def drawn(image: np.ndarray, depth: np.ndarray) -> Rasterization:
    none = torch.zeros(0)
    return Rasterization(
        torch.tensor(image), torch.ones(depth.shape), torch.tensor(depth), None, None, None, none, none
    )


def wall(camera: Camera, colors: list[list[float]], depths: list[float], opacity: float = 0.5) -> Gaussians:
    """Layers that fill the picture, each of one colour."""
    ahead = np.array([camera.center + z * camera.world_to_camera[2, :3] for z in depths])
    return gaussians_from_points(ahead, np.array(colors), np.full(len(depths), 50.0), opacity=opacity)


def test_a_right_view_agrees_with_the_photos(inputs, truth):
    camera, picture = truth
    disagreement = photo_disagreement(picture, camera, inputs)
    assert disagreement.shape == picture.depth.shape
    assert disagreement.median() < 0.02


def test_a_wrong_colour_is_found(inputs, truth):
    camera, picture = truth
    right = photo_disagreement(picture, camera, inputs)
    picture.color[20:40, 30:60] = (picture.color[20:40, 30:60] + 0.4) % 1.0
    wrong = photo_disagreement(picture, camera, inputs)
    assert (wrong - right)[22:38, 32:58].median() > 0.05
    assert torch.equal(wrong[50:], right[50:])


def test_a_wrong_depth_is_found(inputs, truth):
    camera, picture = truth
    right = photo_disagreement(picture, camera, inputs)
    picture.depth[20:40, 30:60] *= 0.6
    wrong = photo_disagreement(picture, camera, inputs)
    assert wrong[22:38, 32:58].mean() > right[22:38, 32:58].mean() + 0.02


def test_one_photo_is_proof_from_its_own_direction_and_half_of_it_from_the_side(truth):
    camera, picture = truth
    agrees = picture.color.clone()
    from_the_same_place = [Witness(camera, agrees), Witness(camera, 1 - agrees)]
    assert photo_disagreement(picture, camera, from_the_same_place).max() < 1e-3
    picture.color[:] = 0.5
    grey, black = torch.full_like(agrees, 0.5), torch.zeros_like(agrees)
    turned = np.diag([-1.0, 1.0, -1.0, 1.0])  # half a turn about a point 8 ahead: it faces the view
    turned[2, 3] = 16.0
    side = camera.moved(turned @ camera.world_to_camera)
    picture.depth[:] = 8.0
    alone = photo_disagreement(picture, camera, [Witness(side, grey), Witness(side, black)])[30:40, 40:56]
    torch.testing.assert_close(alone, torch.full_like(alone, UNSEEN / 2))
    both = photo_disagreement(picture, camera, [Witness(side, grey), Witness(side, grey)])[30:40, 40:56]
    assert both.max() < 1e-6


def test_what_no_photo_sees_has_the_difference_of_a_guess(inputs, truth):
    camera, picture = truth
    away = camera.moved(np.diag([-1.0, 1.0, -1.0, 1.0]) @ camera.world_to_camera)  # looks the other way
    for disagreement in (
        photo_disagreement(picture, away, inputs),
        photo_disagreement(replace(picture, depth=torch.zeros(72, 96)), camera, inputs),
        photo_disagreement(picture, camera, []),
    ):
        torch.testing.assert_close(disagreement, torch.full_like(disagreement, UNSEEN))


def test_gaussians_of_one_colour_agree_and_others_do_not(truth):
    camera, _ = truth
    depths = [
        2.0 + 0.1 * layer for layer in range(10)
    ]  # so many that a half without any is out of the question
    same = blend_disagreement(wall(camera, [[0.6, 0.4, 0.2]] * 10, depths, opacity=0.95), camera)
    mixed = blend_disagreement(wall(camera, [[0.9, 0.9, 0.9], [0.1, 0.1, 0.1]], [2.0, 3.0]), camera)
    assert same.shape == mixed.shape == (72, 96)
    assert same.max() < 0.06
    assert mixed[20:50, 30:60].min() > 0.2


def test_a_drop_is_the_same_every_time(truth):
    camera, _ = truth
    gaussians = wall(camera, [[0.9, 0.2, 0.1], [0.1, 0.8, 0.3], [0.2, 0.2, 0.9]], [2.0, 3.0, 4.0])
    assert torch.equal(blend_disagreement(gaussians, camera), blend_disagreement(gaussians, camera))


def test_an_empty_picture_is_doubted_unless_nothing_is_known_to_be_there(inputs, truth):
    camera, _ = truth
    gaussians = wall(camera, [[0.5, 0.5, 0.5]], [-5.0])  # behind the camera
    empty = render(gaussians, camera, outputs=("color", "depth"))
    error = expected_error(gaussians, empty, camera, inputs)
    expected = ((UNSEEN + NOTHING) * (SHOWS_THROUGH + NOTHING)) ** 0.5
    torch.testing.assert_close(error, torch.full_like(error, expected))
    assert (expected_error(gaussians, empty, camera, inputs, known_background=True) == 0).all()


def test_depth_is_needed(inputs, truth):
    camera, picture = truth
    with pytest.raises(ValueError, match="depth"):
        photo_disagreement(replace(picture, depth=None), camera, inputs)


def test_confidence_falls_with_the_expected_error():
    confidence = view_confidence(torch.tensor([0.0, 0.01, 0.1, 1.0]))
    assert confidence[0] == 1 and (confidence.diff() < 0).all() and confidence[-1] < 1e-4


def test_it_ranks_the_true_errors_of_a_coarse_splat(textured_scene):
    """From end to end: a Gaussian for every ninth pixel of one input, so that held-out views are far from perfect."""
    scene = textured_scene.scene
    first = scene.train_views[0]
    depth = textured_scene.depths[first.name][::3, ::3]
    positions = first.camera.unproject(first.camera.pixel_centers()[::3, ::3].reshape(-1, 2), depth.ravel())
    radii = 1.5 * depth.ravel() / first.camera.fx
    gaussians = gaussians_from_points(positions, first.image[::3, ::3].reshape(-1, 3), radii, opacity=0.9)
    inputs = witnesses(scene.train_views)
    for view in scene.test_views:
        picture = render(gaussians, view.camera, outputs=("color", "depth"))
        error = pixel_error(picture.color.numpy(), view.image)
        expected = expected_error(gaussians, picture, view.camera, inputs).numpy()
        assert confidence_correlation(expected, error) < -0.5
