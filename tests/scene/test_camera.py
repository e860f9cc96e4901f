"""Geometry of cameras: round trips and the conventions in docs/conventions.md."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from recon.errors import ReconError
from recon.scene import Camera, invert_rigid, look_at, rotation_angle


def random_pose(seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    pose = np.eye(4)
    pose[:3, :3] = Rotation.random(random_state=seed).as_matrix()
    pose[:3, 3] = random.normal(size=3)
    return pose


def camera(pose: np.ndarray) -> Camera:
    return Camera(pose, 90.0, 95.0, 41.0, 30.5, 80, 60)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31 - 1))
def test_unproject_inverts_project(seed):
    subject = camera(random_pose(seed))
    random = np.random.default_rng(seed)
    pixels = random.uniform([0, 0], [80, 60], (20, 2))
    depth = random.uniform(0.5, 10, 20)
    again, z = subject.project(subject.unproject(pixels, depth))
    np.testing.assert_allclose(again, pixels, atol=1e-8)
    np.testing.assert_allclose(z, depth, atol=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31 - 1))
def test_inverting_twice_gives_the_transform_back(seed):
    pose = random_pose(seed)
    np.testing.assert_allclose(invert_rigid(invert_rigid(pose)), pose, atol=1e-12)
    np.testing.assert_allclose(invert_rigid(pose) @ pose, np.eye(4), atol=1e-12)


def test_rotation_angle_is_exact_for_tiny_and_large_angles():
    for angle in (0.0, 1e-9, 0.3, 3.0):
        np.testing.assert_allclose(
            rotation_angle(Rotation.from_rotvec([0, angle, 0]).as_matrix()), angle, atol=1e-12
        )


def test_look_at_centres_the_target_and_keeps_up_up():
    subject = camera(
        look_at(np.array([1.0, 2.0, -4.0]), np.array([0.3, 0.1, 0.2]), np.array([0.0, -1.0, 0.0]))
    )
    pixels, z = subject.project(np.array([[0.3, 0.1, 0.2], [0.3, -0.4, 0.2]]))
    np.testing.assert_allclose(pixels[0], [subject.cx, subject.cy], atol=1e-9)
    assert z[0] > 0
    assert pixels[1, 1] < pixels[0, 1], "a point further up in the world must be higher in the picture"


def test_look_at_refuses_a_direction_parallel_to_up():
    with pytest.raises(ValueError, match="parallel"):
        look_at(np.zeros(3), np.array([0.0, 1.0, 0.0]), np.array([0.0, -1.0, 0.0]))


def test_resizing_scales_pixel_positions_exactly():
    subject = camera(random_pose(3))
    points = subject.unproject(np.array([[0.0, 0.0], [80.0, 60.0]]), np.array([2.0, 2.0]))
    pixels, _ = subject.resized(40, 20).project(points)
    np.testing.assert_allclose(pixels, [[0, 0], [40, 20]], atol=1e-9)


@pytest.mark.parametrize(
    ("pose", "words"),
    [
        (np.full((4, 4), np.nan), "finite 4x4"),
        (np.zeros((4, 4)), "singular"),
        (np.diag([2.0, 2.0, 2.0, 1.0]), "scaled"),
        (np.diag([1.0, 1.0, -1.0, 1.0]), "mirrored"),
        (np.ones((3, 4)), "4x4"),
    ],
)
def test_an_unusable_pose_is_told_in_a_sentence(pose, words):
    with pytest.raises(ReconError, match=words):
        camera(pose)


@pytest.mark.parametrize("values", [(0.0, 1.0), (-5.0, 5.0), (np.inf, 5.0), (5.0, np.nan)])
def test_unusable_focal_lengths_are_told(values):
    with pytest.raises(ReconError, match="focal"):
        Camera(np.eye(4), values[0], values[1], 1, 1, 4, 4)
