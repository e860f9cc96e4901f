"""Gaussians for the tests of the package."""

from collections.abc import Callable

import pytest
import torch

from recon.splats import Gaussians


@pytest.fixture(scope="session")
def make_gaussians() -> Callable[[int, int, int], Gaussians]:
    """A function (count, SH degree, seed) -> random Gaussians in the range of trained ones."""

    def make(count: int, degree: int, seed: int = 0) -> Gaussians:
        generator = torch.Generator().manual_seed(seed)

        def normal(*shape: int) -> torch.Tensor:
            return torch.randn(*shape, generator=generator)

        return Gaussians(
            means=3 * normal(count, 3),
            log_scales=normal(count, 3) - 4,
            quaternions=normal(count, 4),
            opacity_logits=2 * normal(count),
            sh=torch.cat([normal(count, 1, 3), 0.2 * normal(count, (degree + 1) ** 2 - 1, 3)], dim=1),
        )

    return make
