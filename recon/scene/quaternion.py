"""Unit quaternions (w, x, y, z) and rotation matrices in numpy."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from recon.errors import ReconError


def quaternion_to_rotation(quaternion: Float[ndarray, " 4"]) -> Float[ndarray, "3 3"]:
    """Return the rotation matrix of a quaternion of any positive length.

    Raises:
        ReconError: when the quaternion is zero or not finite.
    """
    with np.errstate(over="ignore"):
        length = np.linalg.norm(quaternion)
    if not np.isfinite(length) or length < 1e-12:
        raise ReconError(f"a rotation's quaternion must be finite and not zero, got {list(quaternion)}")
    w, x, y, z = np.asarray(quaternion, dtype=np.float64) / length
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def rotation_to_quaternion(rotation: Float[ndarray, "3 3"]) -> Float[ndarray, " 4"]:
    """Return the unit quaternion of a rotation, with w >= 0.

    Takes the eigenvector of the largest eigenvalue of a symmetric 4x4 matrix, which is accurate for every angle and
    averages out small errors of the matrix.

    Source: Bar-Itzhack 2000, New method for extracting the quaternion from a rotation matrix.
    """
    r = np.asarray(rotation, dtype=np.float64)
    symmetric = np.array(
        [
            [r[0, 0] + r[1, 1] + r[2, 2], r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1]],
            [r[2, 1] - r[1, 2], r[0, 0] - r[1, 1] - r[2, 2], r[1, 0] + r[0, 1], r[2, 0] + r[0, 2]],
            [r[0, 2] - r[2, 0], r[1, 0] + r[0, 1], r[1, 1] - r[0, 0] - r[2, 2], r[2, 1] + r[1, 2]],
            [r[1, 0] - r[0, 1], r[2, 0] + r[0, 2], r[2, 1] + r[1, 2], r[2, 2] - r[0, 0] - r[1, 1]],
        ]
    )
    quaternion = np.linalg.eigh(symmetric)[1][:, -1]
    return -quaternion if quaternion[0] < 0 else quaternion
