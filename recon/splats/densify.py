"""Growing new Gaussians from old ones."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from recon.splats.gaussians import Gaussians

SPLIT_SHRINK = 1.6
"""Factor by which the scales of a split Gaussian shrink (3DGS, Kerbl et al. 2023, section 5.2)."""


def clone(gaussians: Gaussians, chosen: Bool[Tensor, " N"]) -> Gaussians:
    """Return copies of the chosen Gaussians, to be added beside them (3DGS, section 5.2: under-reconstruction)."""
    return gaussians.detach()[chosen].map(torch.clone)


def split(
    gaussians: Gaussians, chosen: Bool[Tensor, " N"], generator: torch.Generator, parts: int = 2
) -> Gaussians:
    """Return `parts` smaller Gaussians drawn from each chosen one, to replace it (3DGS, section 5.2)."""
    source = gaussians.detach()[chosen].map(lambda tensor: tensor.repeat(parts, *[1] * (tensor.ndim - 1)))
    noise = torch.randn(len(source), 3, generator=generator).to(source.means.device)
    source.means = source.means + _rotate(source.quaternions, noise * source.scales)
    source.log_scales = source.log_scales - torch.log(torch.tensor(SPLIT_SHRINK))
    return source


def _rotate(quaternions: Float[Tensor, "N 4"], vectors: Float[Tensor, "N 3"]) -> Float[Tensor, "N 3"]:
    unit = torch.nn.functional.normalize(quaternions, dim=1)
    w, axis = unit[:, :1], unit[:, 1:]
    turned = torch.cross(axis, vectors, dim=1)
    return vectors + 2 * (w * turned + torch.cross(axis, turned, dim=1))
