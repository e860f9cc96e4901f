"""Continued surfaces: planes go on along paths that avoid edges, outlines are filled, and no photo is contradicted."""

import numpy as np
import pytest

from recon.scene import Pixels, View
from recon.stereo import fuse_points
from recon.stereo.continuation import continued_depth, joined
from recon.stereo.depth_map import DepthMap
from tests.stereo.stereo_cases import camera_at

CELL = 2
TABLE, DARK = 0.6, 0.1


@pytest.fixture
def cameras():
    return camera_at([-0.3, -4, 0], [-0.3, 0, 0]), camera_at([0.3, -4, 0], [0.3, 0, 0])


def wall(camera, known, image=None, **pixels) -> tuple[View, DepthMap]:
    """A wall at depth 4 with texture that only `known` pixels have depth of."""
    shape = (camera.height, camera.width)
    if image is None:
        image = np.full((*shape, 3), TABLE, np.float32)
    depth = np.where(known, np.float32(4), np.float32(0))
    normal = np.where(known[..., None], np.array([0, 0, -1], np.float32), 0).astype(np.float32)
    return (
        View("photo", camera, lambda: Pixels(image, **pixels)),
        DepthMap(depth, known.astype(np.float32), normal, np.zeros(shape, bool)),
    )


def half(camera):
    known = np.zeros((camera.height, camera.width), bool)
    known[:, : camera.width // 2] = True
    return known


def guesses(cases):
    views, depths = [case[0] for case in cases], [case[1] for case in cases]
    return continued_depth(views, depths, fuse_points(views, depths), CELL)


def test_a_plane_goes_on_where_nothing_is_known(cameras):
    cases = [wall(camera, half(camera)) for camera in cameras]
    for (_view, depth), guess in zip(cases, guesses(cases), strict=True):
        unknown = depth.depth == 0
        np.testing.assert_allclose(guess.depth[unknown], 4, rtol=1e-4)
        assert (guess.depth[~unknown] == 0).all() and (guess.confidence == 0).all()
        np.testing.assert_allclose(guess.normal[unknown] @ [0, 0, -1], 1, atol=1e-4)
        whole = joined(depth, guess)
        np.testing.assert_allclose(whole.depth, 4, rtol=1e-4)
        np.testing.assert_array_equal(whole.confidence, depth.confidence)


def test_what_another_photo_looks_through_is_dropped(cameras):
    cases = [wall(camera, half(camera)) for camera in cameras]
    view, depth = cases[1]
    behind = DepthMap(np.full_like(depth.depth, 9), np.ones_like(depth.depth), depth.normal, depth.filled)
    first = continued_depth(
        [cases[0][0], view], [cases[0][1], behind], fuse_points([cases[0][0]], [cases[0][1]]), CELL
    )[0]
    row, column = np.nonzero(first.depth)
    pixels, _ = cameras[1].project(
        cameras[0].unproject(np.stack([column + 0.5, row + 0.5], -1), first.depth[row, column])
    )
    inside = (pixels >= 0).all(1) & (pixels < [cameras[1].width, cameras[1].height]).all(1)
    assert not inside.any()


def test_an_edge_keeps_a_plane_from_going_on(cameras):
    """Beyond an edge of the photo, the nearest known surface is a piece that is no plane: nothing is guessed."""
    camera = cameras[0]
    image = np.full((camera.height, camera.width, 3), TABLE, np.float32)
    image[:, camera.width // 2 :] = DARK
    view, depth = wall(camera, half(camera), image)
    bump = depth.depth.copy()
    rows = slice(camera.height // 2 - 3, camera.height // 2 + 3)
    bump[rows, -6:] = 2.0 + 0.2 * np.random.default_rng(0).random((6, 6)).astype(np.float32)
    depth = DepthMap(bump, (bump > 0).astype(np.float32), depth.normal, depth.filled)
    points = fuse_points([view], [depth])
    guess = continued_depth([view], [depth], points, CELL)[0]
    assert (guess.depth[:, -8:] == 0).all()


def test_an_outline_is_filled_and_nothing_beside_it(cameras):
    cases = []
    for camera in cameras:
        shape = (camera.height, camera.width)
        mask = np.zeros(shape, bool)
        mask[10:60, 30:66] = True
        known = mask & (np.indices(shape)[0] < 40) & (np.random.default_rng(0).random(shape) < 0.5)
        image = np.where(mask[..., None], np.float32(TABLE), np.float32(1)).repeat(3, -1).astype(np.float32)
        view, depth = wall(camera, known, image, mask=mask, background=(1.0, 1.0, 1.0))
        cases.append((view, DepthMap(depth.depth, depth.confidence, depth.normal, depth.filled)))
    for (view, depth), guess in zip(cases, guesses(cases), strict=True):
        assert (guess.depth[~view.mask] == 0).all()
        whole = joined(depth, guess).depth
        assert (whole[view.mask] > 0).mean() > 0.6
        np.testing.assert_allclose(whole[whole > 0], 4, rtol=1e-3)


def test_a_photo_without_any_depth_gets_no_guess(cameras):
    cases = [wall(cameras[0], half(cameras[0])), wall(cameras[1], np.zeros((72, 96), bool))]
    assert (guesses(cases)[1].depth == 0).all()
