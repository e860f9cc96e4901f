"""The backdrop: it closes gaps with what lies behind, and stands nowhere a photo says it cannot."""

import numpy as np
import pytest

from recon.scene import Pixels, View
from recon.stereo.backdrop import BEHIND, MARGIN, backdrop_points
from recon.stereo.depth_map import DepthMap
from tests.stereo.stereo_cases import camera_at

CELL = 12
GREY = (0.5, 0.5, 0.5)


@pytest.fixture
def cameras():
    return camera_at([-0.3, -4, 0], [-0.3, 0, 0]), camera_at([0.3, -4, 0], [0.3, 0, 0])


def photo(camera, color=GREY, **pixels) -> View:
    image = np.broadcast_to(np.array(color, np.float32), (camera.height, camera.width, 3)).copy()
    return View("photo", camera, lambda: Pixels(image, **pixels))


def depth_map(camera, z) -> DepthMap:
    shape = (camera.height, camera.width)
    depth = np.broadcast_to(np.float32(z), shape).astype(np.float32)
    return DepthMap(depth, np.ones(shape, np.float32), np.zeros((*shape, 3), np.float32), depth == 0)


def z_in(camera, points):
    return camera.project(points.positions)[1]


def test_one_point_per_cell_behind_the_surface_and_beyond_the_frame(cameras):
    views, depths = [photo(c) for c in cameras], [depth_map(c, 4.0) for c in cameras]
    points = backdrop_points(views, depths, CELL)
    first = points[points.views == 0]
    assert len(first) == (96 // CELL + 2 * MARGIN) * (72 // CELL + 2 * MARGIN)
    np.testing.assert_allclose(z_in(cameras[0], first), 4.0 * BEHIND, rtol=1e-5)
    np.testing.assert_allclose(first.radii, 4.0 * BEHIND * CELL / cameras[0].fx, rtol=1e-5)
    np.testing.assert_allclose(first.colors, 0.5, atol=1e-6)


def test_a_cell_in_free_space_is_pushed_behind_what_is_seen_there(cameras):
    views = [photo(c) for c in cameras]
    points = backdrop_points(views, [depth_map(cameras[0], 3.0), depth_map(cameras[1], 4.0)], CELL)
    first = points[points.views == 0]
    pixels, z = cameras[1].project(first.positions)
    inside = (pixels >= 0).all(1) & (pixels[:, 0] < 96) & (pixels[:, 1] < 72)
    assert inside.any() and (z[inside] > 0.97 * 4.0).all()


def test_a_cell_that_another_photo_sees_in_another_color_is_not_in_its_sight(cameras):
    views = [photo(cameras[0], (1, 1, 1)), photo(cameras[1], (0.2, 0.2, 0.2))]
    depths = [depth_map(cameras[0], 4.0), depth_map(cameras[1], 0.0)]
    first = backdrop_points(views, depths, CELL)
    pixels, _ = cameras[1].project(first.positions)
    assert len(first) and not ((pixels >= 0).all(1) & (pixels[:, 0] < 96) & (pixels[:, 1] < 72)).any()


def test_a_cutout_has_no_backdrop_beside_the_object(cameras):
    mask = np.zeros((72, 96), bool)
    mask[24:48, 36:60] = True
    views = [photo(c, mask=mask, background=(1.0, 1.0, 1.0)) for c in cameras]
    points = backdrop_points(views, [depth_map(c, 4.0) for c in cameras], CELL)
    assert len(points)
    for camera in cameras:
        column, row = camera.project(points.positions)[0].astype(int).T
        assert mask[row, column].all()


def test_without_any_depth_there_is_no_backdrop(cameras):
    points = backdrop_points([photo(c) for c in cameras], [depth_map(c, 0.0) for c in cameras], CELL)
    assert len(points) == 0
