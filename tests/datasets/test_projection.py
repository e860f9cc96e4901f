import numpy as np
import pytest
from make_pictures import assert_same_camera, ring_cameras

from recon.datasets.projection import camera_from_projection
from recon.errors import ReconError

CAMERA = ring_cameras(2, 1600, 1200)[1]
PROJECTION = CAMERA.matrix @ CAMERA.world_to_camera[:3]


@pytest.mark.parametrize("factor", [1.0, -1.0, 7e-4, -3e5])
def test_any_scale_and_sign(factor: float) -> None:
    assert_same_camera(camera_from_projection(PROJECTION * factor, 1600, 1200), CAMERA, 1e-8)


def test_far_away_worlds_keep_their_precision() -> None:
    """DTU is in millimetres, with the origin 600 mm away."""
    moved = CAMERA.moved(CAMERA.world_to_camera @ _translation([600.0, -40.0, 700.0]))
    assert_same_camera(
        camera_from_projection(moved.matrix @ moved.world_to_camera[:3], 1600, 1200), moved, 1e-8
    )


def test_unusable_matrices_are_refused() -> None:
    singular = PROJECTION.copy()
    singular[1] = singular[0]
    skewed = np.array([[500.0, 30.0, 100.0], [0, 500.0, 100.0], [0, 0, 1.0]]) @ np.eye(4)[:3]
    for wrong, message in [
        (singular, "singular"),
        (PROJECTION * np.nan, "NaN or infinite"),
        (np.zeros((3, 4)), "singular"),
        (np.eye(4), r"3 rows of 4 numbers, got shape \(4, 4\)"),
        (skewed, "skewed pixels"),
    ]:
        with pytest.raises(ReconError, match=message):
            camera_from_projection(wrong, 1600, 1200)


def _translation(offset: list[float]) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, 3] = offset
    return matrix
