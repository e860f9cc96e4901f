"""Scenes for the rasterizer's tests, and ways to run and compare them."""

from dataclasses import dataclass

import torch
from torch import Tensor

PICTURES = ("color", "alpha", "depth", "median_depth", "normal", "features")
EVERYTHING = ("color", "depth", "median_depth", "normal", "features", "contribution")


@dataclass
class Case:
    """Tensor arguments by name, and the picture's size."""

    tensors: dict[str, Tensor]
    width: int
    height: int

    def to(self, dtype: torch.dtype) -> "Case":
        return Case(
            {name: tensor.to(dtype) for name, tensor in self.tensors.items()}, self.width, self.height
        )


def random_case(count=200, width=37, height=29, seed=0, sh_bases=9, features=5) -> Case:
    """Overlapping Gaussians of many sizes around a tilted camera's axis; some lie behind it or out of view."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(*shape):
        return torch.rand(*shape, generator=generator, dtype=torch.float64)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    rotation = torch.linalg.qr(normal(3, 3))[0]
    rotation[:, 0] *= torch.det(rotation).sign()
    pose = torch.eye(4, dtype=torch.float64)
    pose[:3, :3] = rotation
    pose[:3, 3] = torch.tensor([0.1, -0.2, 2.0])
    tensors = {
        "means": (uniform(count, 3) - 0.5) * 2.5,
        "quaternions": normal(count, 4),
        "scales": 0.02 + 0.25 * uniform(count, 3) ** 2,
        "opacities": 0.02 + 0.97 * uniform(count),
        "sh": 0.4 * normal(count, sh_bases, 3),
        "world_to_camera": pose,
        "intrinsics": torch.tensor([40.0, 43.0, width / 2 + 0.7, height / 2 - 0.4], dtype=torch.float64),
        "background": uniform(3),
        "features": normal(count, features),
        "screen_offsets": torch.zeros(count, 2, dtype=torch.float64),
    }
    return Case(tensors, width, height).to(torch.float32)


def render(function, case: Case, **settings):
    """Call a rasterizer on a case."""
    given = dict(case.tensors)
    required = ("means", "quaternions", "scales", "opacities", "sh", "world_to_camera", "intrinsics")
    positional = [given.pop(name, None) for name in required]
    return function(*positional, case.width, case.height, **given, **settings)


def pictures(result) -> dict[str, Tensor]:
    return {name: getattr(result, name) for name in PICTURES if getattr(result, name) is not None}


def upstream_gradients(images: dict[str, Tensor], seed=7) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(image.shape, generator=generator, dtype=torch.float64)
        for name, image in images.items()
    }


def gradients(function, case: Case, **settings) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return the pictures, and the gradients of a fixed random projection of them."""
    leaves = {name: tensor.clone().requires_grad_() for name, tensor in case.tensors.items()}
    images = pictures(render(function, Case(leaves, case.width, case.height), **settings))
    upstream = upstream_gradients(images)
    torch.autograd.backward(list(images.values()), [upstream[name].to(images[name]) for name in images])
    return {name: image.detach() for name, image in images.items()}, {k: v.grad for k, v in leaves.items()}


def assert_same_gradient(got: Tensor, expected: Tensor, name: str, tolerance: float = 2e-5) -> None:
    """Compare by relative error, direction and bias: one of them sees what the others miss."""
    got, expected = got.double().flatten(), expected.double().flatten()
    assert torch.isfinite(got).all(), name
    size = expected.norm()
    assert size > 0, f"the expected gradient of {name} is zero: the test would show nothing"
    error = ((got - expected).norm() / size).item()
    cosine = (got @ expected / (got.norm() * size)).item()
    bias = ((got - expected).sum().abs() / expected.abs().sum()).item()
    assert error < tolerance, f"gradient of {name}: relative error {error:.2e}"
    assert cosine > 1 - tolerance, f"gradient of {name}: cosine {cosine:.8f}"
    assert bias < tolerance, f"gradient of {name}: bias {bias:.2e}"
