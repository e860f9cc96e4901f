"""Stereo depth with its holes filled: along edges, and never in front of what another photo sees."""

from dataclasses import replace

import numpy as np
import pytest

from recon.errors import ReconError
from recon.priors import StereoDepth
from recon.scene import Pixels, View
from recon.stereo import DepthMap
from recon.stereo.propagation import propagate
from tests.stereo.stereo_cases import camera_at


def depth_map(depth: np.ndarray, confidence: np.ndarray | None = None) -> DepthMap:
    known = (depth > 0).astype(np.float32) if confidence is None else confidence
    return DepthMap(
        depth.astype(np.float32), known, np.zeros((*depth.shape, 3), np.float32), np.zeros(depth.shape, bool)
    )


def two_halves(width: int = 40, height: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """A picture with an edge in the middle, near on the left, far on the right."""
    image = np.zeros((height, width, 3), np.float32)
    image[:, width // 2 :] = 0.9
    depth = np.where(np.arange(width) < width // 2, 2.0, 5.0) * np.ones((height, 1))
    return image, depth.astype(np.float32)


def test_known_depth_spreads_up_to_the_edge_and_not_over_it():
    image, depth = two_halves()
    known = depth.copy()
    known[:, 8:38] = 0  # the right side is known in two columns only, far from the edge
    filled = propagate(image, known, np.ones_like(known, bool))
    np.testing.assert_array_equal(filled, depth)


def test_known_pixels_stay_and_forbidden_ones_stay_empty():
    image, depth = two_halves()
    known = np.where(np.random.default_rng(0).random(depth.shape) < 0.3, depth, 0).astype(np.float32)
    allowed = np.ones_like(known, bool)
    allowed[:3] = False
    filled = propagate(image, known, allowed)
    assert (filled[known > 0][allowed[known > 0]] == known[(known > 0) & allowed]).all()
    assert (filled[:3] == 0).all() and (filled[3:] > 0).all()


def test_the_filled_depth_of_a_room_is_near_the_truth(textured_scene):
    views = textured_scene.scene.train_views
    truths = [textured_scene.depths[view.name] for view in views]
    random = np.random.default_rng(0)
    stereo = [depth_map(np.where(random.random(truth.shape) < 0.2, truth, 0)) for truth in truths]
    for depth, truth in zip(StereoDepth()(views, stereo), truths, strict=True):
        assert (depth > 0).all()
        assert np.median(np.abs(depth / truth - 1)) < 0.01
        assert (np.abs(depth / truth - 1) < 0.05).mean() > 0.9


def test_a_guess_that_another_photo_looks_through_moves_back(textured_scene):
    views = textured_scene.scene.train_views[:2]
    truths = [textured_scene.depths[view.name] for view in views]
    wrong = truths[0].copy()
    wrong[20:60, 20:76] = 0
    wrong[15:20, 20:76] *= 0.5  # what would spread into the gap is much too near
    confidence = (wrong > 0).astype(np.float32)
    naive = propagate(views[0].image, wrong, np.ones_like(wrong, bool))
    better = StereoDepth()(views, [depth_map(wrong, confidence), depth_map(truths[1])])[0]
    gap = np.s_[20:60, 20:76]
    assert (naive[gap] < 0.9 * truths[0][gap]).mean() > 0.2, "the test needs guesses in free space"
    assert (better[gap] < 0.9 * truths[0][gap]).mean() < 0.25 * (naive[gap] < 0.9 * truths[0][gap]).mean()


def test_a_plane_goes_on_instead_of_the_nearest_depth():
    camera = camera_at([0, -4, 0], [3, 0, 0])
    shape = camera.height, camera.width
    rays = camera.unproject(camera.pixel_centers().reshape(-1, 2), np.ones(camera.height * camera.width))
    truth = (4 / (rays - camera.center)[:, 1]).reshape(shape).astype(np.float32)  # the wall y = 0, seen askew
    image = np.full((*shape, 3), 0.6, np.float32)
    view = View("wall.png", camera, lambda: Pixels(image))
    known = np.where(np.arange(camera.width) < 40, truth, 0).astype(np.float32)
    normal = np.where((known > 0)[..., None], camera.world_to_camera[:3, :3] @ [0, -1, 0], 0)
    stereo = replace(depth_map(known), normal=normal.astype(np.float32))
    nearest = propagate(image, known, np.ones(shape, bool))
    assert np.abs(nearest[:, 60:] / truth[:, 60:] - 1).min() > 0.05, "the test needs a wall that recedes"
    np.testing.assert_allclose(StereoDepth()([view], [stereo])[0], truth, rtol=0.01)


def test_untrusted_depth_is_not_kept(textured_scene):
    view = textured_scene.scene.train_views[0]
    truth = textured_scene.depths[view.name]
    confidence = np.ones_like(truth)
    confidence[30:40, 30:40] = 0.01
    spoiled = truth.copy()
    spoiled[30:40, 30:40] = 100.0
    (depth,) = StereoDepth()([view], [depth_map(spoiled, confidence)])
    assert depth[30:40, 30:40].max() < 20


def test_a_photo_without_any_depth_is_told():
    image, depth = two_halves()
    from recon.synth.raycast import raycast_scene

    camera = raycast_scene("wall", views=1, size=(40, 20)).scene.views[0].camera
    view = View("dark.png", camera, lambda: Pixels(image))
    with pytest.raises(ReconError, match=r"no depth in dark\.png"):
        StereoDepth()([view], [depth_map(np.zeros_like(depth))])
