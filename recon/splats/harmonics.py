"""Real spherical harmonics up to degree 3, with the signs and the order that Gaussian splatting files use."""

import math

import numpy as np
from jaxtyping import Float
from numpy import ndarray


def sh_basis(directions: Float[ndarray, "N 3"], degree: int) -> Float[ndarray, "N K"]:
    """Evaluate the harmonics of degree 0 to `degree`; a colour is `0.5 + basis @ sh`.

    Args:
        directions: [N, 3] unit vectors from the camera to the Gaussian, world axes.
        degree: 0 to 3.

    Source: Sloan 2008, "Stupid Spherical Harmonics (SH) Tricks", appendix A2.
    """
    x, y, z = np.asarray(directions, dtype=np.float64).T
    xx, yy, zz = x * x, y * y, z * z
    a, b = math.sqrt(1 / (4 * math.pi)), math.sqrt(3 / (4 * math.pi))
    c, d = math.sqrt(15 / (4 * math.pi)), math.sqrt(5 / (16 * math.pi))
    e, f, g = math.sqrt(35 / (32 * math.pi)), math.sqrt(105 / (4 * math.pi)), math.sqrt(21 / (32 * math.pi))
    bands = [
        [np.full_like(x, a)],
        [-b * y, b * z, -b * x],
        [c * x * y, -c * y * z, d * (2 * zz - xx - yy), -c * x * z, c / 2 * (xx - yy)],
        [
            -e * y * (3 * xx - yy),
            f * x * y * z,
            -g * y * (4 * zz - xx - yy),
            math.sqrt(7 / (16 * math.pi)) * z * (2 * zz - 3 * xx - 3 * yy),
            -g * x * (4 * zz - xx - yy),
            f / 2 * z * (xx - yy),
            -e * x * (xx - 3 * yy),
        ],
    ]
    return np.stack([function for band in bands[: degree + 1] for function in band], axis=1)


def sh_rotation(rotation: Float[ndarray, "3 3"], degree: int) -> Float[ndarray, "K K"]:
    """Return the matrix that rotates coefficients: `rotated = matrix @ sh`.

    Rotated colours look from `rotation @ d` as the given ones look from `d`. Each degree maps to itself, so evaluating
    both sides at more directions than coefficients determines the matrix to rounding; zeros between degrees are exact.
    """
    directions = _spread_directions(4 * (degree + 1) ** 2)
    # The rotated colour at d is the given colour at R^T d, which is d @ R for rows.
    turned, fixed = sh_basis(directions @ rotation, degree), sh_basis(directions, degree)
    matrix = np.zeros(((degree + 1) ** 2,) * 2)
    for band in range(degree + 1):
        part = slice(band**2, (band + 1) ** 2)
        matrix[part, part] = np.linalg.lstsq(fixed[:, part], turned[:, part], rcond=None)[0]
    return matrix


def _spread_directions(count: int) -> Float[ndarray, "N 3"]:
    """Return unit vectors spread evenly over the sphere, along a golden-angle spiral."""
    z = 1 - (2 * np.arange(count) + 1) / count
    angle = np.arange(count) * math.pi * (3 - math.sqrt(5))
    radius = np.sqrt(1 - z * z)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), z], axis=1)
