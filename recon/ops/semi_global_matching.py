"""Smooth depth from matching costs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int32, UInt8
from torch import Tensor

from recon.ops import native
from recon.ops.plane_sweep import check_planes
from recon.ops.shapes import Shapes

MAX_PENALTY = 4000
"""Eight path costs of at most 255 + this are summed in 16 bits."""


@dataclass(frozen=True, eq=False)
class Matching:
    """The planes that semi-global matching chose.

    Attributes:
        index: [H, W] plane, with a fraction from the parabola through the neighbouring costs.
        best: [H, W] summed cost of that plane.
        runner_up: [H, W] least summed cost more than four planes away; close to `best` where the picture does not
            decide.
    """

    index: Float[Tensor, "H W"]
    best: Float[Tensor, "H W"]
    runner_up: Float[Tensor, "H W"]


def semi_global_matching(
    volume: UInt8[Tensor, "H W D"],
    gray: UInt8[Tensor, "H W"],
    *,
    small_penalty: int = 32,
    large_penalty: int = 256,
    edge_weight: float = 20.0,
) -> Matching:
    """Choose one plane per pixel that is cheap and close to its neighbours' along eight directions.

    All sums are integers, so every back end gives the same result. Not differentiable.

    Args:
        volume: matching costs; the number of planes is a multiple of 16.
        gray: the reference picture's luma; steps in it weaken the large penalty.
        small_penalty: for a change by one plane.
        large_penalty: for a larger change; divided by 1 + edge_weight * |step of grey in [0, 1]|.

    Raises:
        TypeError, ValueError: when a dtype, a shape or a penalty does not fit.

    Source: Hirschmueller, "Stereo processing by semiglobal matching and mutual information", 2008; the penalties are
    our measurements (docs/stereo.md).
    """
    shapes = Shapes("semi_global_matching")
    shapes.check("volume", volume, "H W D", torch.uint8)
    shapes.check("gray", gray, "H W", torch.uint8)
    check_planes("semi_global_matching", shapes.size("D"))
    if not 0 <= small_penalty <= large_penalty <= MAX_PENALTY:
        raise ValueError(
            f"semi_global_matching: expected 0 <= small_penalty <= large_penalty <= {MAX_PENALTY}, got "
            f"{small_penalty} and {large_penalty}"
        )
    index, best, runner_up = (
        torch.empty(gray.shape, dtype=torch.float32, device=volume.device) for _ in range(3)
    )
    penalties = large_penalties(small_penalty, large_penalty, edge_weight).to(volume.device)
    native.call(
        "semi_global_matching",
        volume.contiguous(),
        gray.contiguous(),
        small_penalty,
        penalties,
        index,
        best,
        runner_up,
    )
    return Matching(index, best, runner_up)


def large_penalties(small_penalty: int, large_penalty: int, edge_weight: float) -> Int32[Tensor, " 256"]:
    """Return the penalty of a large step for every absolute difference of 8-bit grey, never below the small one."""
    steps = torch.arange(256, dtype=torch.float64) / 255.0
    return (large_penalty / (1.0 + edge_weight * steps)).round().clamp(min=small_penalty).to(torch.int32)
