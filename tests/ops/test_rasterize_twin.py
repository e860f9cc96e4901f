"""The torch twin of the rasterizer: its derivatives against finite differences, and properties it must have."""

import math

import pytest
import torch

from recon.ops.reference.rasterize import rasterize, spherical_harmonics_basis
from tests.ops.rasterize_cases import (
    EVERYTHING,
    Case,
    pictures,
    random_case,
    render,
    upstream_gradients,
)

INPUTS = (
    "means",
    "quaternions",
    "scales",
    "opacities",
    "sh",
    "colors",
    "features",
    "background",
    "world_to_camera",
    "intrinsics",
    "screen_offsets",
)


def small_case() -> Case:
    """Six Gaussians that overlap in a picture of 9x7, none at the clamp of alpha."""
    case = random_case(count=6, width=9, height=7, seed=3, sh_bases=16, features=2).to(torch.float64)
    case.tensors["intrinsics"][:2] /= 4
    case.tensors["means"] *= 0.4
    return case


@pytest.mark.parametrize("antialiased", [False, True])
@pytest.mark.parametrize("name", INPUTS)
def test_every_input_agrees_with_finite_differences_in_every_output(name, antialiased):
    case = small_case()
    if name == "colors":
        del case.tensors["sh"]
        case.tensors["colors"] = torch.rand(6, 3, dtype=torch.float64)

    def outputs(value):
        changed = Case({**case.tensors, name: value}, case.width, case.height)
        return pictures(render(rasterize, changed, outputs=EVERYTHING, antialiased=antialiased))

    value = case.tensors[name].clone().requires_grad_()
    images = outputs(value)
    upstream = upstream_gradients(images)
    step = 1e-6
    for _ in range(3):
        direction = torch.randn_like(value)
        with torch.no_grad():
            ahead, back = outputs(value + step * direction), outputs(value - step * direction)
        for output, image in images.items():
            assert image.abs().max() > 0, output
            expected = ((ahead[output] - back[output]) * upstream[output]).sum().item() / (2 * step)
            got = 0.0
            if image.requires_grad:
                loss = (image * upstream[output]).sum()
                gradient = torch.autograd.grad(loss, value, retain_graph=True, allow_unused=True)[0]
                got = 0.0 if gradient is None else (gradient * direction).sum().item()
            assert got == pytest.approx(expected, rel=1e-5, abs=1e-6), output


def test_absolute_gradients_are_sums_over_pixels():
    case = small_case()
    offsets = case.tensors["screen_offsets"].requires_grad_()
    image = render(rasterize, case).color
    total = torch.zeros_like(offsets)
    for pixel in image.sum(-1).flatten():  # the colour's three channels share one pixel
        total += torch.autograd.grad(pixel, offsets, retain_graph=True)[0].abs()
    absolute = torch.autograd.grad(render(rasterize, case, absolute_gradients=True).color.sum(), offsets)[0]
    torch.testing.assert_close(absolute, total)


def test_spherical_harmonics_are_orthonormal():
    # A product rule that is exact for polynomials of degree 6: Gauss-Legendre in z, equal steps around it.
    import numpy as np

    nodes, weights = np.polynomial.legendre.leggauss(8)
    angles = np.arange(16) * 2 * math.pi / 16
    z, angle = (torch.from_numpy(a.reshape(-1)) for a in np.meshgrid(nodes, angles, indexing="ij"))
    area = torch.from_numpy(np.repeat(weights, 16)) * 2 * math.pi / 16
    ring = (1 - z * z).sqrt()
    basis = spherical_harmonics_basis(torch.stack([ring * angle.cos(), ring * angle.sin(), z], -1), 3)
    torch.testing.assert_close(basis.T @ (area[:, None] * basis), torch.eye(16, dtype=torch.float64))


def test_a_single_gaussian_has_the_closed_form():
    pose, focal = torch.eye(4, dtype=torch.float64), 50.0
    tensors = {
        "means": torch.tensor([[0.0, 0.0, 2.0]]),
        "quaternions": torch.tensor([[1.0, 0, 0, 0]]),
        "scales": torch.tensor([[0.1, 0.1, 0.1]]),
        "opacities": torch.tensor([0.8]),
        "world_to_camera": pose,
        "intrinsics": torch.tensor([focal, focal, 8.0, 8.0]),
        "colors": torch.tensor([[1.0, 0.5, 0.25]]),
    }
    result = render(rasterize, Case(tensors, 16, 16).to(torch.float64), outputs=("depth", "normal"))
    variance = (focal * 0.1 / 2.0) ** 2 + 0.3
    x = torch.arange(16, dtype=torch.float64) + 0.5 - 8.0
    expected = 0.8 * torch.exp(-0.5 * (x[None] ** 2 + x[:, None] ** 2) / variance)
    expected = torch.where(expected >= 1 / 255, expected, 0.0)
    torch.testing.assert_close(result.alpha, expected, atol=1e-7, rtol=1e-6)
    torch.testing.assert_close(
        result.color, expected[..., None] * tensors["colors"][0].double(), atol=1e-7, rtol=1e-6
    )
    torch.testing.assert_close(result.depth, 2.0 * (expected > 0).double(), atol=1e-6, rtol=0)
