"""Planes in a cloud: found, exact, in order of size, and not where there is none."""

import numpy as np
import pytest

from recon.stereo.planes import LEAST_SHARE, Plane, find_planes
from recon.stereo.points import PointCloud


def cloud(positions, normals, radius=0.01) -> PointCloud:
    count = len(positions)
    return PointCloud(
        np.asarray(positions, np.float32),
        np.full((count, 3), 0.5, np.float32),
        np.asarray(normals, np.float32),
        np.full(count, radius, np.float32),
        np.ones(count, np.float32),
        np.zeros(count, np.int32),
    )


def flat(count, normal, offset, random, noise=0.0):
    """Points on a plane, in rows, as a photo's come."""
    normal = np.asarray(normal, float) / np.linalg.norm(normal)
    _, _, axes = np.linalg.svd(normal[None])
    across = random.uniform(-1, 1, (count, 2))
    across = across[np.argsort(across[:, 0])]
    positions = across @ axes[1:] - offset * normal + noise * random.normal(size=(count, 1)) * normal
    return positions, np.tile(normal, (count, 1))


def blob(count, random):
    """Points all over a ball's surface."""
    normals = random.normal(size=(count, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return 0.5 * normals + [0, 0, 2], normals


def joined(*parts):
    return cloud(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def test_planes_are_found_largest_first_and_exactly():
    random = np.random.default_rng(0)
    small, large = ([1, 0, 0.2], 0.7), ([0, 1, 0], -0.4)
    points = joined(
        flat(2000, *small, random, noise=0.003), blob(2000, random), flat(5000, *large, random, noise=0.003)
    )
    first, second = find_planes(points)[:2]
    for plane, (normal, offset), share in ((first, large, 5 / 9), (second, small, 2 / 9)):
        unit = np.asarray(normal) / np.linalg.norm(normal)
        sign = np.sign(plane.normal @ unit)
        np.testing.assert_allclose(sign * plane.normal, unit, atol=2e-3)
        assert sign * plane.offset == pytest.approx(offset, abs=2e-3)
        assert plane.share == pytest.approx(share, abs=0.03)


def test_nothing_flat_gives_no_plane():
    random = np.random.default_rng(1)
    assert find_planes(joined(blob(5000, random))) == []


def test_a_plane_of_few_points_does_not_count():
    random = np.random.default_rng(2)
    few = int(0.5 * LEAST_SHARE * 5000)
    assert find_planes(joined(blob(5000 - few, random), flat(few, [0, 1, 0], 0.0, random))) == []


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_tiny_clouds_are_no_trouble(count):
    points = cloud(np.zeros((count, 3)), np.tile([0.0, 0.0, 1.0], (count, 1)))
    assert find_planes(points) == []  # coinciding points span no plane


def test_equal_clouds_give_equal_planes():
    random = np.random.default_rng(3)
    points = joined(flat(3000, [0, 0, 1], 1.0, random, noise=0.004), blob(500, random))
    once, again = find_planes(points), find_planes(points)
    assert len(once) == len(again) > 0
    for a, b in zip(once, again, strict=True):
        np.testing.assert_array_equal(a.normal, b.normal)
        assert a.offset == b.offset


def test_depth_along_rays():
    plane = Plane(np.array([0.0, 0.0, 1.0]), -3.0, 1.0)
    rays = np.array([[0, 0, 1.0], [1, 0, 0.5], [0, 0, -1.0], [1, 0, 0.0]])
    np.testing.assert_allclose(plane.depth_along(np.zeros(3), rays)[:3], [3, 6, -3])
    assert not np.isfinite(plane.depth_along(np.zeros(3), rays)[3])
