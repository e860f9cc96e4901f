"""The expected error of a view: small where the photos say the same, large where they differ or see nothing."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from recon.evaluation.calibration import confidence_correlation, pixel_error
from recon.ops import Rasterization
from recon.scene import Camera
from recon.splats.initialize import gaussians_from_points
from recon.splats.photo_agreement import CONTRAST, UNSEEN, Witness, expected_error, view_confidence, witnesses
from recon.splats.render import render


@pytest.fixture
def inputs(textured_scene) -> list[Witness]:
    """The room's photos with their true depths."""
    return [
        Witness(view.camera, torch.tensor(view.image), torch.tensor(textured_scene.depths[view.name]))
        for view in textured_scene.scene.train_views
    ]


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


def test_a_right_view_is_trusted(inputs, truth):
    camera, picture = truth
    error = expected_error(picture, camera, inputs)
    assert error.shape == picture.depth.shape
    assert error.median() < 0.02
    assert view_confidence(error).median() > 0.8


def test_a_wrong_colour_is_found(inputs, truth):
    camera, picture = truth
    right = expected_error(picture, camera, inputs)
    picture.color[20:40, 30:60] = (picture.color[20:40, 30:60] + 0.4) % 1.0
    wrong = expected_error(picture, camera, inputs)
    assert (wrong - right)[22:38, 32:58].median() > 0.15
    assert torch.equal(wrong[50:], right[50:])


def test_a_wrong_depth_is_found(inputs, truth):
    camera, picture = truth
    right = expected_error(picture, camera, inputs)
    picture.depth[20:40, 30:60] *= 0.6
    wrong = expected_error(picture, camera, inputs)
    assert wrong[22:38, 32:58].mean() > right[22:38, 32:58].mean() + 0.02


def test_what_no_photo_sees_has_the_error_of_a_guess(inputs, truth):
    camera, picture = truth
    stripes = torch.arange(96).reshape(1, 96, 1) % 2 * 2 - 1
    picture.color[:] = 0.5 + CONTRAST / 2 * stripes
    away = camera.moved(np.diag([-1.0, 1.0, -1.0, 1.0]) @ camera.world_to_camera)  # looks the other way
    for error in (
        expected_error(picture, away, inputs),
        expected_error(replace(picture, depth=torch.zeros(72, 96)), camera, inputs),
        expected_error(picture, camera, []),
    ):
        inner = error[4:-4, 4:-4]  # at the edge there are fewer neighbours to differ from
        torch.testing.assert_close(inner, torch.full_like(inner, UNSEEN))


def test_a_known_background_is_right(inputs, truth):
    camera, picture = truth
    picture.alpha[:, :48] = 0
    picture.depth[:, :48] = 0
    error = expected_error(picture, camera, inputs, known_background=True)
    assert (error[:, :46] == 0).all() and (error[:, 50:] > 0).all()


def test_depth_is_needed(inputs, truth):
    camera, picture = truth
    with pytest.raises(ValueError, match="depth"):
        expected_error(replace(picture, depth=None), camera, inputs)


def test_it_ranks_the_true_errors_of_a_coarse_splat(textured_scene):
    """From end to end: a Gaussian for every ninth pixel of one input, so that held-out views are far from perfect."""
    scene = textured_scene.scene
    first = scene.train_views[0]
    depth = textured_scene.depths[first.name][::3, ::3]
    positions = first.camera.unproject(first.camera.pixel_centers()[::3, ::3].reshape(-1, 2), depth.ravel())
    radii = 1.5 * depth.ravel() / first.camera.fx
    gaussians = gaussians_from_points(positions, first.image[::3, ::3].reshape(-1, 3), radii, opacity=0.9)
    inputs = witnesses(gaussians, scene.train_views)
    for view in scene.test_views:
        picture = render(gaussians, view.camera, outputs=("color", "depth"))
        error = pixel_error(picture.color.numpy(), view.image)
        expected = expected_error(picture, view.camera, inputs).numpy()
        assert confidence_correlation(expected, error) < -0.5
