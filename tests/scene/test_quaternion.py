import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from recon.errors import ReconError
from recon.scene import quaternion_to_rotation, rotation_to_quaternion


def test_against_scipy_and_back() -> None:
    random = Rotation.random(100, random_state=0)
    for rotation in random:
        matrix = rotation.as_matrix()
        w, x, y, z = rotation_to_quaternion(matrix)
        assert w >= 0
        np.testing.assert_allclose(Rotation.from_quat([x, y, z, w]).as_matrix(), matrix, atol=1e-14)
        np.testing.assert_allclose(quaternion_to_rotation(np.array([w, x, y, z])), matrix, atol=1e-14)


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("angle", [0.0, 1e-9, np.pi - 1e-9, np.pi])
def test_small_and_half_turns(axis: int, angle: float) -> None:
    matrix = Rotation.from_rotvec(np.eye(3)[axis] * angle).as_matrix()
    np.testing.assert_allclose(quaternion_to_rotation(rotation_to_quaternion(matrix)), matrix, atol=1e-14)


def test_length_does_not_matter_but_zero_is_refused() -> None:
    quaternion = np.array([0.3, -0.2, 0.7, 0.1])
    np.testing.assert_allclose(
        quaternion_to_rotation(quaternion), quaternion_to_rotation(quaternion * -5), atol=1e-15
    )
    for wrong in ([0.0, 0.0, 0.0, 0.0], [np.nan, 0.0, 0.0, 1.0]):
        with pytest.raises(ReconError, match="quaternion must be finite and not zero"):
            quaternion_to_rotation(np.array(wrong))
