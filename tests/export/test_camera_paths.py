"""Camera paths: through the inputs, without jerks, and never where they should not be."""

import itertools

import numpy as np
import pytest

from recon.errors import ReconError
from recon.export.camera_paths import (
    distances_between,
    faces_forward,
    fly_through,
    orbit,
    shortest_way,
    spiral,
)
from recon.scene import Camera, look_at, rotation_angle

UP = np.array([0.0, -1.0, 0.0])


def camera(position, target=(0.0, 0.0, 0.0), fx=100.0, width=120, height=80) -> Camera:
    pose = look_at(np.array(position, float), np.array(target, float), UP)
    return Camera(pose, fx, fx, width / 2, height / 2, width, height)


RING = [camera([4 * np.cos(a), -1, 4 * np.sin(a)]) for a in np.linspace(0, 2 * np.pi, 8, endpoint=False)]
WALL = [camera([x, y, -5], [x / 2, y / 2, 3]) for x, y in ((-1, 0), (0, 0.5), (1, 0), (0.2, -0.6))]


def poses(path) -> np.ndarray:
    return np.array([c.world_to_camera for c in path])


def test_passes_through_the_inputs():
    inputs = RING[:4]
    path = fly_through(inputs, 400)
    assert len(path) == 400
    np.testing.assert_allclose(path[0].world_to_camera, inputs[0].world_to_camera, atol=1e-9)
    np.testing.assert_allclose(path[-1].world_to_camera, inputs[-1].world_to_camera, atol=1e-9)
    centers = np.array([c.center for c in path])
    for one in inputs:
        nearest = np.linalg.norm(centers - one.center, axis=1).argmin()
        assert np.linalg.norm(centers[nearest] - one.center) < 0.03
        turn = path[nearest].world_to_camera[:3, :3] @ one.world_to_camera[:3, :3].T
        assert rotation_angle(turn) < 0.02


@pytest.mark.parametrize("inputs", [RING, WALL])
def test_moves_without_jerks(inputs):
    """No step, in position or angle, is much longer than its neighbours; the ends are slow."""
    path = fly_through(inputs, 300)
    steps = np.linalg.norm(np.diff([c.center for c in path], axis=0), axis=1)
    turns = rotation_angle(poses(path)[1:, :3, :3] @ np.swapaxes(poses(path)[:-1, :3, :3], 1, 2))
    for speed in (steps, turns):
        assert np.abs(np.diff(speed)).max() < 0.12 * speed.max()
        assert speed[0] < 0.2 * speed.max() and speed[-1] < 0.2 * speed.max()


def test_stays_between_the_inputs():
    path = fly_through(WALL, 100)
    centers, bounds = np.array([c.center for c in path]), np.array([c.center for c in WALL])
    assert (centers >= bounds.min(axis=0) - 1e-9).all() and (centers <= bounds.max(axis=0) + 1e-9).all()


def test_order_is_the_shortest():
    rng = np.random.default_rng(0)
    cameras = [camera(rng.normal(size=3) * [3, 1, 1] + [0, 0, -9]) for _ in range(7)]
    distances = distances_between(cameras)

    def length(order):
        return sum(distances[a, b] for a, b in itertools.pairwise(order))

    best = min(length(order) for order in itertools.permutations(range(7)))
    assert length(shortest_way(distances)) == pytest.approx(best)


def test_many_cameras_in_any_order():
    line = [camera([x, 0, -9], [x, 0, 0]) for x in range(40)]
    shuffled = [line[i] for i in np.random.default_rng(1).permutation(40)]
    x = np.array([c.center[0] for c in fly_through(shuffled, 200)])
    assert (np.diff(x) >= -1e-9).all() or (np.diff(x) <= 1e-9).all()
    x = np.array([c.center[0] for c in fly_through([line[0], line[9], line[3]], 50, reorder=False)])
    assert x.max() == pytest.approx(9, abs=0.01) and x[-1] == pytest.approx(3)


def test_sizes_and_fields_of_view():
    inputs = [camera([0, 0, -5], fx=100), camera([1, 0, -5], fx=400, width=240, height=160)]
    path = fly_through(inputs, 10, size=(320, 180))
    assert {(c.width, c.height) for c in path} == {(320, 180)}
    assert path[0].fx == pytest.approx(100 * 180 / 80) and path[-1].fx == pytest.approx(400 * 180 / 160)
    assert path[0].cx == pytest.approx(160) and path[0].cy == pytest.approx(90)


def test_too_few_cameras():
    for inputs in ([], RING[:1], [RING[0], RING[0]]):
        with pytest.raises(ReconError, match="needs at least 2 different cameras"):
            fly_through(inputs, 10)
    with pytest.raises(ReconError, match="needs at least 2 frames"):
        fly_through(RING, 1)


def test_orbit_keeps_its_distance_and_looks_inwards():
    path = orbit(RING, 36)
    centers = np.array([c.center for c in path])
    np.testing.assert_allclose(np.linalg.norm(centers[:, [0, 2]], axis=1), 4, atol=1e-6)
    np.testing.assert_allclose(centers[:, 1], -1, atol=1e-6)
    for one in path:
        pixels, depths = one.project(np.zeros((1, 3)))
        np.testing.assert_allclose(pixels[0], [60, 40], atol=1e-6)
        assert depths[0] > 0
    with pytest.raises(ReconError, match="look in the same direction"):
        orbit([camera([x, 0, -5], [x, 0, 0]) for x in range(3)], 10)
    with pytest.raises(ReconError, match="look away from each other"):
        orbit([camera(c.center, 2 * c.center - [0, c.center[1], 0]) for c in RING], 10)


def test_spiral_stays_within_the_inputs_and_closes():
    path = spiral(WALL, 60, focus_depth=8)
    centers, bounds = np.array([c.center for c in path]), np.array([c.center for c in WALL])
    assert (centers[:, :2].max(axis=0) <= bounds[:, :2].max(axis=0)).all()
    assert (centers[:, :2].min(axis=0) >= bounds[:, :2].min(axis=0)).all()
    steps = np.linalg.norm(np.diff([*centers, centers[0]], axis=0), axis=1)
    assert steps.max() < 1.5 * np.median(steps) + 1e-9
    with pytest.raises(ReconError, match="focus depth"):
        spiral(WALL, 60, focus_depth=0)


def test_faces_forward():
    assert faces_forward(WALL) and faces_forward(RING[:2]) and not faces_forward(RING)
