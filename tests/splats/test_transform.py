"""A moved scene seen by a moved camera is the same picture: identities that need no renderer."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from recon.splats import Gaussians
from recon.splats.harmonics import sh_basis
from recon.splats.transform import transform_gaussians

ROTATION = Rotation.from_rotvec([0.3, -1.1, 2.0]).as_matrix()
SCALE, TRANSLATION = 2.5, np.array([1.0, -20.0, 3.0])


def covariances(gaussians: Gaussians) -> np.ndarray:
    axes = Rotation.from_quat(gaussians.quaternions[:, [1, 2, 3, 0]].numpy()).as_matrix()
    scaled = axes * gaussians.scales.numpy()[:, None]
    return scaled @ np.swapaxes(scaled, 1, 2)


def colors(gaussians: Gaussians, camera_center: np.ndarray) -> np.ndarray:
    directions = gaussians.means.numpy() - camera_center
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return np.einsum("nk,nkc->nc", sh_basis(directions, gaussians.sh_degree), gaussians.sh.numpy())


@pytest.fixture
def gaussians(make_gaussians) -> Gaussians:
    return make_gaussians(100, 3).map(torch.Tensor.double)


def test_centres_shapes_and_colours_move_together(gaussians):
    moved = transform_gaussians(gaussians, rotation=ROTATION, scale=SCALE, translation=TRANSLATION)
    expected = SCALE * gaussians.means.numpy() @ ROTATION.T + TRANSLATION
    np.testing.assert_allclose(moved.means.numpy(), expected, atol=1e-10)
    expected = SCALE**2 * ROTATION @ covariances(gaussians) @ ROTATION.T
    np.testing.assert_allclose(covariances(moved), expected, rtol=1e-9, atol=1e-12)
    center = np.array([4.0, 5.0, -6.0])
    moved_center = SCALE * ROTATION @ center + TRANSLATION
    np.testing.assert_allclose(colors(moved, moved_center), colors(gaussians, center), atol=1e-10)
    assert torch.equal(moved.opacity_logits, gaussians.opacity_logits)


def test_inverse_brings_everything_back(gaussians):
    moved = transform_gaussians(gaussians, rotation=ROTATION, scale=SCALE, translation=TRANSLATION)
    back = transform_gaussians(
        moved, rotation=ROTATION.T, scale=1 / SCALE, translation=-ROTATION.T @ TRANSLATION / SCALE
    )
    for name, tensor in gaussians.tensors().items():
        torch.testing.assert_close(back.tensors()[name].abs(), tensor.abs(), atol=1e-9, rtol=0)


@pytest.mark.parametrize("degree", [0, 1, 2])
def test_every_degree_and_float32(make_gaussians, degree):
    gaussians = make_gaussians(20, degree)
    moved = transform_gaussians(gaussians, rotation=ROTATION)
    assert moved.means.dtype == torch.float32 and moved.sh.shape == gaussians.sh.shape
    center = np.zeros(3)
    np.testing.assert_allclose(colors(moved, center), colors(gaussians, center), atol=1e-5)


def test_half_turns_and_gradients(make_gaussians):
    gaussians = make_gaussians(5, 1)
    gaussians.sh.requires_grad_()
    moved = transform_gaussians(gaussians, rotation=np.diag([1.0, -1.0, -1.0]))
    assert torch.isfinite(moved.quaternions).all()
    moved.sh.square().sum().backward()
    torch.testing.assert_close(gaussians.sh.grad, 2 * gaussians.sh.detach(), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"rotation": 2 * np.eye(3)}, "orthonormal rows"),
        ({"rotation": np.full((3, 3), math.nan)}, "orthonormal rows"),
        ({"rotation": np.diag([1.0, 1.0, -1.0])}, "mirrors"),
        ({"scale": 0.0}, "must be positive and finite, got 0.0"),
        ({"scale": math.nan}, "must be positive and finite"),
    ],
)
def test_what_is_not_a_similarity_is_refused(make_gaussians, arguments, words):
    with pytest.raises(ValueError, match=words):
        transform_gaussians(make_gaussians(2, 0), **arguments)
