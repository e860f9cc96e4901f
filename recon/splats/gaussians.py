"""The container of a Gaussian scene."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import torch
from jaxtyping import Float
from torch import Tensor

SH_C0 = 0.28209479177387814
"""The constant spherical harmonic, 1 / (2 sqrt(pi)): colour = 0.5 + SH_C0 * sh[:, 0]."""


@dataclass(eq=False)
class Gaussians:
    """Anisotropic Gaussians with view-dependent colour, in the parameters the optimiser sees.

    Attributes:
        means: [N, 3] centres, world units.
        log_scales: [N, 3] logarithm of the standard deviations along the local axes.
        quaternions: [N, 4] rotations (w, x, y, z), need not be normalised.
        opacity_logits: [N] inverse sigmoid of the opacity.
        sh: [N, K, 3] spherical-harmonic coefficients of the colour, K = (degree + 1) ** 2.
    """

    means: Float[Tensor, "N 3"]
    log_scales: Float[Tensor, "N 3"]
    quaternions: Float[Tensor, "N 4"]
    opacity_logits: Float[Tensor, " N"]
    sh: Float[Tensor, "N K 3"]

    def __post_init__(self) -> None:
        n = len(self.means)
        expected = {"means": (n, 3), "log_scales": (n, 3), "quaternions": (n, 4), "opacity_logits": (n,)}
        for name, shape in expected.items():
            got = tuple(getattr(self, name).shape)
            if got != shape:
                raise ValueError(f"Gaussians.{name}: expected shape {shape}, got {got}")
        if (
            self.sh.shape[0] != n
            or self.sh.ndim != 3
            or self.sh.shape[2] != 3
            or self.sh.shape[1] not in (1, 4, 9, 16)
        ):
            raise ValueError(f"Gaussians.sh: expected shape ({n}, 1|4|9|16, 3), got {tuple(self.sh.shape)}")

    def __len__(self) -> int:
        return len(self.means)

    @property
    def sh_degree(self) -> int:
        return math.isqrt(self.sh.shape[1]) - 1

    @property
    def scales(self) -> Float[Tensor, "N 3"]:
        return self.log_scales.exp()

    @property
    def opacities(self) -> Float[Tensor, " N"]:
        return self.opacity_logits.sigmoid()

    def tensors(self) -> dict[str, Tensor]:
        """Return the attributes by name, in declaration order."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def map(self, function) -> Gaussians:
        """Return Gaussians with `function` applied to every attribute."""
        return Gaussians(**{name: function(tensor) for name, tensor in self.tensors().items()})

    def __getitem__(self, index) -> Gaussians:
        """Select Gaussians by slice, boolean mask or index tensor."""
        return self.map(lambda tensor: tensor[index])

    def to(self, device: torch.device | str) -> Gaussians:
        return self.map(lambda tensor: tensor.to(device))

    def detach(self) -> Gaussians:
        return self.map(torch.Tensor.detach)

    @staticmethod
    def concatenate(parts: list[Gaussians]) -> Gaussians:
        return Gaussians(
            **{name: torch.cat([part.tensors()[name] for part in parts]) for name in parts[0].tensors()}
        )
