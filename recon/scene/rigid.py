"""Rigid transforms as 4x4 numpy matrices, OpenCV camera axes (x right, y down, z forward)."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray


def invert_rigid(transform: Float[ndarray, "*batch 4 4"]) -> Float[ndarray, "*batch 4 4"]:
    """Invert rotation-and-translation matrices without a general inverse."""
    rotation = np.swapaxes(transform[..., :3, :3], -1, -2)
    inverse = np.zeros_like(transform)
    inverse[..., :3, :3] = rotation
    inverse[..., :3, 3] = -np.einsum("...ij,...j->...i", rotation, transform[..., :3, 3])
    inverse[..., 3, 3] = 1.0
    return inverse


def camera_center(world_to_camera: Float[ndarray, "*batch 4 4"]) -> Float[ndarray, "*batch 3"]:
    """Return the camera's position in world coordinates."""
    return invert_rigid(world_to_camera)[..., :3, 3]


def rotation_angle(rotation: Float[ndarray, "*batch 3 3"]) -> Float[ndarray, "*batch"]:
    """Return the angle of a rotation in radians, accurate near zero too."""
    antisymmetric = np.stack(
        [
            rotation[..., 2, 1] - rotation[..., 1, 2],
            rotation[..., 0, 2] - rotation[..., 2, 0],
            rotation[..., 1, 0] - rotation[..., 0, 1],
        ],
        axis=-1,
    )
    sine = 0.5 * np.linalg.norm(antisymmetric, axis=-1)
    cosine = 0.5 * (np.trace(rotation, axis1=-2, axis2=-1) - 1.0)
    return np.arctan2(sine, cosine)


def look_at(
    position: Float[ndarray, " 3"], target: Float[ndarray, " 3"], up: Float[ndarray, " 3"]
) -> Float[ndarray, "4 4"]:
    """Return the world-to-camera matrix of a camera at `position` that looks at `target`.

    Args:
        up: world direction that shall point up in the picture (minus y in camera axes).

    Raises:
        ValueError: when the viewing direction is zero or parallel to `up`.
    """
    position, target, up = (np.asarray(v, dtype=np.float64) for v in (position, target, up))
    forward = target - position
    right = np.cross(forward, up)
    if np.linalg.norm(forward) == 0 or np.linalg.norm(right) < 1e-12 * np.linalg.norm(forward):
        raise ValueError("look_at: the viewing direction must not be zero or parallel to `up`")
    forward = forward / np.linalg.norm(forward)
    right = right / np.linalg.norm(right)
    down = np.cross(forward, right)
    world_to_camera = np.eye(4)
    world_to_camera[:3, :3] = np.stack([right, down, forward])
    world_to_camera[:3, 3] = -world_to_camera[:3, :3] @ position
    return world_to_camera
