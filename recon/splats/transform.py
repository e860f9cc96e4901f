"""Moving, turning and resizing Gaussians as a whole."""

import math

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from recon.scene import rotation_to_quaternion
from recon.splats.gaussians import Gaussians
from recon.splats.harmonics import sh_rotation


def transform_gaussians(
    gaussians: Gaussians,
    *,
    rotation: Float[ndarray, "3 3"] | None = None,
    scale: float = 1.0,
    translation: Float[ndarray, " 3"] | None = None,
) -> Gaussians:
    """Apply the similarity `x -> scale * rotation @ x + translation` to centres, shapes and view-dependent colours.

    A camera that is moved by the same similarity sees the same picture. Differentiable in the Gaussians.

    Args:
        rotation: [3, 3] proper rotation.
        scale: positive factor.
        translation: [3] world units, after scaling.

    Raises:
        ValueError: when `rotation` is not a rotation (to 1e-4) or `scale` is not positive and finite.
    """
    rotation = np.eye(3) if rotation is None else np.asarray(rotation, dtype=np.float64)
    translation = np.zeros(3) if translation is None else np.asarray(translation, dtype=np.float64)
    if rotation.shape != (3, 3) or not np.abs(rotation @ rotation.T - np.eye(3)).max() < 1e-4:
        raise ValueError("transform_gaussians: `rotation` must be a 3x3 matrix with orthonormal rows")
    if np.linalg.det(rotation) < 0:
        raise ValueError("transform_gaussians: `rotation` mirrors; Gaussians' rotations cannot express that")
    if not (scale > 0 and math.isfinite(scale)):
        raise ValueError(f"transform_gaussians: `scale` must be positive and finite, got {scale}")

    def tensor(array: ndarray) -> torch.Tensor:
        return torch.from_numpy(array).to(gaussians.means)

    return Gaussians(
        means=gaussians.means @ tensor(scale * rotation).T + tensor(translation),
        log_scales=gaussians.log_scales + math.log(scale),
        quaternions=gaussians.quaternions @ tensor(_left_multiplication(rotation_to_quaternion(rotation))).T,
        opacity_logits=gaussians.opacity_logits,
        sh=torch.einsum("ij,njc->nic", tensor(sh_rotation(rotation, gaussians.sh_degree)), gaussians.sh),
    )


def _left_multiplication(quaternion: Float[ndarray, " 4"]) -> Float[ndarray, "4 4"]:
    """Return the matrix L for which `L @ p` is the product of `quaternion` and p."""
    w, x, y, z = quaternion
    return np.array([[w, -x, -y, -z], [x, w, -z, y], [y, z, w, -x], [z, -y, x, w]])
