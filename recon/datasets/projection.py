"""Cameras from 3x4 projection matrices."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from recon.errors import ReconError
from recon.scene import Camera


def camera_from_projection(projection: Float[ndarray, "3 4"], width: int, height: int) -> Camera:
    """Split P = s K [R | t] into a camera; P may have any scale and sign.

    Args:
        projection: maps homogeneous world points to pixels of a width x height picture.

    Raises:
        ReconError: when the matrix has the wrong shape, is not finite, is singular or is skewed.

    Source: Hartley and Zisserman 2004, Multiple View Geometry, section 6.2.4 (RQ decomposition).
    """
    projection = np.asarray(projection, dtype=np.float64)
    if projection.shape != (3, 4):
        raise ReconError(f"a projection matrix must have 3 rows of 4 numbers, got shape {projection.shape}")
    if not np.isfinite(projection).all():
        raise ReconError("a projection matrix holds NaN or infinite values")
    scale = np.linalg.norm(projection[2, :3])
    if scale == 0 or np.linalg.cond(projection[:, :3] / scale) > 1e12:
        raise ReconError("a projection matrix is singular: its left 3x3 part has no inverse")
    projection = projection / scale
    if np.linalg.det(projection[:, :3]) < 0:  # the sign of P is arbitrary; R must be a rotation
        projection = -projection
    intrinsics, rotation = _rq(projection[:, :3])
    intrinsics = intrinsics / intrinsics[2, 2]
    if abs(intrinsics[0, 1]) > 1e-2 * intrinsics[0, 0]:
        raise ReconError(
            f"a projection matrix has skewed pixels (skew {intrinsics[0, 1]:.1f}), which no photo has"
        )
    pose = np.eye(4)
    pose[:3, :3] = rotation
    pose[:3, 3] = rotation @ np.linalg.solve(projection[:, :3], projection[:, 3])
    return Camera(pose, intrinsics[0, 0], intrinsics[1, 1], intrinsics[0, 2], intrinsics[1, 2], width, height)


def _rq(matrix: Float[ndarray, "3 3"]) -> tuple[Float[ndarray, "3 3"], Float[ndarray, "3 3"]]:
    """Factor into an upper triangle with a positive diagonal and an orthogonal matrix."""
    flip = np.eye(3)[::-1]
    q, r = np.linalg.qr((flip @ matrix).T)
    upper, orthogonal = flip @ r.T @ flip, flip @ q.T
    signs = np.diag(np.where(np.diag(upper) < 0, -1.0, 1.0))
    return upper @ signs, signs @ orthogonal
