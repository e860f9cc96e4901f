"""The small parts of stereo, each against a case worked out by hand."""

import numpy as np
import pytest

from recon.stereo import TriangulatedMatches
from recon.stereo.cleaning import fill_nearest, small_components
from recon.stereo.consistency import (
    agreement,
    floats_in_front,
    looks_different,
    outside_cutout,
    relative_projection,
)
from recon.stereo.depth_map import DepthMap
from recon.stereo.depth_range import depth_ranges, wider_ranges
from recon.stereo.matching import lowest_weight
from recon.stereo.normals import normals_from_depth
from recon.stereo.sources import select_sources
from recon.stereo.upsample import upsample
from recon.stereo.working_view import WorkingView
from tests.stereo.stereo_cases import camera_at


def plane_depth(camera, distance):
    """z of the plane y = distance, seen from a camera near y < distance."""
    far = camera.unproject(camera.pixel_centers().reshape(-1, 2), np.ones(camera.width * camera.height))
    ray = far - camera.center
    return ((distance - camera.center[1]) / ray[:, 1]).reshape(camera.height, camera.width).astype(np.float32)


@pytest.fixture
def pair():
    return camera_at([-0.3, -4, 0], [0, 0, 0]), camera_at([0.3, -4, 0.1], [0, 0, 0])


def test_true_depths_agree_and_false_ones_do_not(pair):
    a, b = (plane_depth(camera, 0.0) for camera in pair)
    agrees = agreement(pair[0], a, pair[1], b)
    assert agrees[10:-10, 25:-25].all()
    assert not agreement(pair[0], a * 1.05, pair[1], b).any()
    assert not agreement(pair[0], np.zeros_like(a), pair[1], b).any()


def test_only_what_is_in_front_floats(pair):
    a, b = (plane_depth(camera, 0.0) for camera in pair)
    inner = np.s_[15:-15, 30:-30]
    assert floats_in_front(pair[0], a * 0.9, pair[1], b)[inner].all()
    assert not floats_in_front(pair[0], a, pair[1], b).any()
    assert not floats_in_front(pair[0], a * 1.1, pair[1], b).any()
    assert not floats_in_front(pair[0], a * 0.9, pair[1], np.zeros_like(b)).any()


def colored(camera, color, cutout=None):
    size = (camera.height, camera.width)
    image = np.broadcast_to(np.array(color, np.float32), (*size, 3)).copy()
    return WorkingView("photo", camera, image, np.ones(size, bool), cutout)


def test_another_color_speaks_against_a_point_only_where_nothing_else_is_known(pair):
    depth, inner = plane_depth(pair[0], 0.0), np.s_[15:-15, 30:-30]
    brown, white = colored(pair[0], [0.5, 0.3, 0.2]), colored(pair[1], [1, 1, 1])
    unknown, known = np.zeros_like(depth), plane_depth(pair[1], 0.0)
    assert looks_different(brown, depth, white, unknown)[inner].all()
    assert not looks_different(brown, depth, white, known).any()
    assert not looks_different(brown, depth, colored(pair[1], [0.55, 0.3, 0.2]), unknown).any()


def test_what_falls_beside_a_cutout_is_outside(pair):
    depth, inner = plane_depth(pair[0], 0.0), np.s_[15:-15, 30:-30]
    cutout = np.zeros(depth.shape, bool)
    views = [colored(camera, [1, 1, 1], cutout) for camera in pair]
    assert outside_cutout(views[0], depth, views[1])[inner].all()
    assert not outside_cutout(views[0], depth, colored(pair[1], [1, 1, 1], ~cutout)).any()
    assert not outside_cutout(views[0], depth, colored(pair[1], [1, 1, 1])).any()


def test_relative_projection_gives_pixels_and_depth(pair):
    a, b = pair
    point = np.array([[0.2, 0.5, -0.3]])
    (u, v), z = a.project(point)[0][0], a.project(point)[1][0]
    x, y, w = relative_projection(a, b) @ [u, v, 1, 1 / z]
    pixels, depth = b.project(point)
    np.testing.assert_allclose([x / w, y / w], pixels[0])
    assert w * z == pytest.approx(depth[0])


def test_small_pieces_are_found():
    depth = np.zeros((30, 30), np.float32)
    depth[2:12, 2:12] = 2.0
    depth[5, 5] = 1.0  # an island within
    depth[20:23, 20:23] = 3.0
    small = small_components(depth, 20)
    assert small.sum() == 1 + 9 and small[5, 5] and small[21, 21]
    slope = np.linspace(1, 2, 400, dtype=np.float32).reshape(1, -1)
    assert not small_components(slope, 300).any()


def test_filling_takes_the_nearest_within_reach():
    depth = np.zeros((9, 20), np.float32)
    depth[:, 4], depth[:, 12] = 2.0, 5.0
    filled, origin = fill_nearest(depth, 3.0, np.ones(depth.shape, bool))
    assert (filled[:, 1:8] == 2.0).all() and (filled[:, 0] == 0).all()
    assert (filled[:, 9:16] == 5.0).all() and (filled[:, 16:] == 0).all()
    assert (depth.reshape(-1)[origin[:, 1:8]] == 2.0).all()
    nothing, _ = fill_nearest(np.zeros((4, 4), np.float32), 3.0, np.ones((4, 4), bool))
    assert not nothing.any()


def test_plane_normals_are_exact(pair):
    camera = pair[0]
    normals = normals_from_depth(camera, plane_depth(camera, 0.0))
    expected = camera.world_to_camera[:3, :3] @ [0, -1, 0]
    np.testing.assert_allclose(
        normals[3:-3, 3:-3], np.broadcast_to(expected, normals[3:-3, 3:-3].shape), atol=1e-3
    )


NO_MATCHES = TriangulatedMatches(np.zeros((0, 3)), np.zeros((0, 3), np.float32), np.zeros((0, 2), np.int64))


def test_range_covers_the_points_and_falls_back(pair):
    rng = np.random.default_rng(0)
    points = np.stack([rng.uniform(-1, 1, 200), rng.uniform(-1, 1, 200), rng.uniform(-0.5, 0.5, 200)], axis=1)
    matches = TriangulatedMatches(points, np.zeros((200, 3), np.float32), np.tile([0, 1], (200, 1)))
    for camera, (near, far) in zip(pair, depth_ranges(pair, matches), strict=True):
        z = camera.project(points)[1]
        assert near < z.min() and far > z.max()
        assert near > 0.6 * z.min() and far < 2.0 * z.max()
    few = TriangulatedMatches(points[:5], np.zeros((5, 3), np.float32), np.tile([0, 1], (5, 1)))
    assert depth_ranges(pair, few, bounds=(1.5, 7.0)) == [(1.5, 7.0)] * 2
    for near, far in depth_ranges([camera_at([x, -4, 0], [0, 0, 0]) for x in (-1, 0, 1)], few):
        assert near < 3.5 and far > 5
    parallel = [camera_at([x, -4, 0], [x, 0, 0]) for x in (-0.2, 0.2)]
    for near, far in depth_ranges(parallel, few):
        assert 0 < near < far


def test_photos_with_few_points_take_those_of_all(pair):
    """One point more or less in a photo hardly changes what is searched: it depends on the size of the photos."""
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (60, 3))
    shown = np.repeat([[0, 0], [1, 1]], (29, 31), axis=0)
    for camera, (near, far) in zip(
        pair,
        depth_ranges(pair, TriangulatedMatches(points, np.zeros((60, 3), np.float32), shown)),
        strict=True,
    ):
        z = camera.project(points)[1]
        assert 0.8 * z.min() < near < z.min() and z.max() < far < 1.2 * z.max()


def test_a_wider_range_is_searched_only_where_it_reaches_beyond(pair):
    own = [(3.0, 5.0)] * 2
    assert wider_ranges(pair, own, bounds=(1.0, 5.2)) is None
    assert wider_ranges(pair, own, bounds=(2.9, 5.2), nearer=True) is None
    assert wider_ranges(pair, own, bounds=(1.0, 9.0)) == [(3.0, 9.0)] * 2
    assert wider_ranges(pair, own, bounds=(1.0, 4.0), nearer=True) == [(1.0, 5.0)] * 2
    assert wider_ranges(pair, own) is not None, "the cameras alone allow more"
    assert wider_ranges(pair, depth_ranges(pair, NO_MATCHES)) is None, "that was searched already"


def test_sources_are_the_views_that_overlap():
    ring = [
        camera_at([4 * np.sin(a), -4 * np.cos(a), 0], [0, 0, 0]) for a in np.radians([0, 12, 24, 90, 180])
    ]
    chosen = select_sources(ring, [(3.0, 5.0)] * 5, max_sources=2)
    assert [source.index for source in chosen[0]] == [1, 2]
    assert 8 < chosen[0][0].angle < 16
    away = camera_at([0, -4, 0], [0, -8, 0])
    assert all(not sources for sources in select_sources([ring[0], away], [(3.0, 5.0)] * 2, 2))


def test_weight_moves_to_the_mean():
    assert [lowest_weight(n) for n in (1, 2, 5, 9)] == [0.5, 0.5, 0.0, 0.0]
    assert 0 < lowest_weight(4) < lowest_weight(3) < 0.5


def test_upsampling_follows_the_photo_edge():
    image = np.zeros((40, 60, 3), np.float32)
    image[:, 33:] = 1.0  # not on the border of a low-resolution pixel
    low_image = image.reshape(10, 4, 15, 4, 3).mean(axis=(1, 3))
    depth = np.full((10, 15), 2.0, np.float32)
    depth[:, 8:] = 4.0
    flat = np.zeros((10, 15, 3), np.float32)
    flat[..., 2] = -1
    low = DepthMap(depth, np.ones_like(depth), flat, np.zeros(depth.shape, bool))
    allowed = np.ones((40, 60), bool)
    allowed[0] = False
    high = upsample(low, low_image, image, allowed)
    assert set(np.unique(high.depth[1:])) == {2.0, 4.0}
    assert (high.depth[1:, :33] == 2.0).mean() > 0.97 and (high.depth[1:, 33:] == 4.0).all()
    assert (high.depth[0] == 0).all() and (high.confidence[0] == 0).all()
    assert high.stride == pytest.approx(4)
