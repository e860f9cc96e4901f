import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from recon.poses.epipolar import essential_matrix, in_front_of_both, sampson_distance, two_view_depths


def two_views(seed: int):
    """Return R, t, points in front of both cameras and their two projections."""
    rng = np.random.default_rng(seed)
    rotation = Rotation.from_rotvec(rng.normal(size=3) * 0.1).as_matrix()
    translation = rng.normal(size=3) * 0.5
    points = rng.uniform([-1, -1, 3], [1, 1, 6], size=(40, 3))
    moved = points @ rotation.T + translation
    return rotation, translation, points, points[:, :2] / points[:, 2:], moved[:, :2] / moved[:, 2:]


@given(st.integers(0, 1000))
@settings(deadline=None)
def test_exact_matches_have_no_distance(seed):
    rotation, translation, _, first, second = two_views(seed)
    assert sampson_distance(essential_matrix(rotation, translation), first, second).max() < 1e-12


@given(st.integers(0, 1000), st.floats(1e-5, 1e-3))
@settings(deadline=None)
def test_distance_of_a_shifted_match_is_at_most_the_shift(seed, shift):
    """Moving one end across its epipolar line by d leaves a smallest correction between d/sqrt(2)-ish and d."""
    rotation, translation, _, first, second = two_views(seed)
    essential = essential_matrix(rotation, translation)
    lines = np.concatenate([first, np.ones((len(first), 1))], axis=1) @ essential.T
    normal = lines[:, :2] / np.linalg.norm(lines[:, :2], axis=1, keepdims=True)
    distance = sampson_distance(essential, first, second + shift * normal)
    assert (distance <= shift * 1.001).all() and (distance > 0).all()
    swapped = sampson_distance(essential.T, second + shift * normal, first)
    np.testing.assert_allclose(swapped, distance, rtol=1e-9)


def test_distance_does_not_depend_on_the_baseline_length():
    rotation, translation, _, first, second = two_views(3)
    a = sampson_distance(essential_matrix(rotation, translation), first, second + 1e-3)
    b = sampson_distance(essential_matrix(rotation, 7 * translation), first, second + 1e-3)
    np.testing.assert_allclose(a, b)


def test_no_baseline_explains_nothing():
    _, _, _, first, second = two_views(0)
    assert np.isinf(sampson_distance(essential_matrix(np.eye(3), np.zeros(3)), first, second)).all()


@given(st.integers(0, 1000))
@settings(deadline=None)
def test_depths_and_cheirality(seed):
    rotation, translation, points, first, second = two_views(seed)
    depth_first, depth_second = two_view_depths(rotation, translation, first, second)
    np.testing.assert_allclose(depth_first, points[:, 2], rtol=1e-5)
    np.testing.assert_allclose(depth_second, (points @ rotation.T + translation)[:, 2], rtol=1e-5)
    assert in_front_of_both(rotation, translation, first, second).all()
    assert not in_front_of_both(rotation, -translation, first, second).any()


def test_parallel_rays_are_not_in_front():
    point = np.zeros((1, 2))
    assert not in_front_of_both(np.eye(3), np.array([1.0, 0, 0]), point, point).any()


@pytest.mark.parametrize("count", [0, 1])
def test_few_matches(count):
    empty = np.zeros((count, 2))
    assert sampson_distance(essential_matrix(np.eye(3), np.array([1.0, 0, 0])), empty, empty).shape == (
        count,
    )
