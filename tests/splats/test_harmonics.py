"""Spherical harmonics against scipy's and against their own group laws."""

import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from recon.splats.harmonics import sh_basis, sh_rotation


def directions(count: int = 200) -> np.ndarray:
    vectors = np.random.default_rng(0).normal(size=(count, 3))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_basis_is_scipys_up_to_the_sign_convention():
    """Real harmonics built from complex ones; scipy's Condon-Shortley phase gives odd orders their minus sign."""
    from scipy.special import sph_harm_y

    d = directions()
    polar, azimuth = np.arccos(d[:, 2]), np.arctan2(d[:, 1], d[:, 0])
    expected = []
    for degree in range(4):
        for order in range(-degree, degree + 1):
            values = sph_harm_y(degree, abs(order), polar, azimuth)
            if order < 0:
                expected.append(math.sqrt(2) * values.imag)
            elif order == 0:
                expected.append(values.real)
            else:
                expected.append(math.sqrt(2) * values.real)
    np.testing.assert_allclose(sh_basis(d, 3), np.stack(expected, axis=1), atol=1e-12)


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_rotation_moves_the_colours(degree):
    rng = np.random.default_rng(1)
    rotation = Rotation.random(rng=rng).as_matrix()
    sh = rng.normal(size=((degree + 1) ** 2, 3))
    d = directions()
    rotated = sh_rotation(rotation, degree) @ sh
    np.testing.assert_allclose(
        sh_basis(d @ rotation.T, degree) @ rotated, sh_basis(d, degree) @ sh, atol=1e-12
    )


def test_rotations_form_a_group():
    a, b = (Rotation.random(rng=np.random.default_rng(seed)).as_matrix() for seed in (2, 3))
    np.testing.assert_allclose(sh_rotation(a, 3) @ sh_rotation(b, 3), sh_rotation(a @ b, 3), atol=1e-12)
    np.testing.assert_allclose(sh_rotation(a, 3).T, sh_rotation(a.T, 3), atol=1e-12)
    np.testing.assert_allclose(sh_rotation(np.eye(3), 3), np.eye(16), atol=1e-12)
