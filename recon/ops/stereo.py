"""Plane sweep and semi-global matching."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int32, UInt8
from torch import Tensor

from recon import _core

PLANE_MULTIPLE = 16
"""The number of planes must be a multiple of this: costs are handled sixteen at a time."""


def pack_colors(
    image: Float[Tensor, "H W 3"], valid: Bool[Tensor, "H W"] | None = None
) -> Int32[Tensor, "H W"]:
    """Pack a picture into one integer per pixel: ten bits per colour and one that says whether the pixel is valid.

    One gather then fetches a whole pixel.

    Args:
        image: sRGB values in [0, 1].
        valid: false where there is no picture.
    """
    levels = (image.clamp(0.0, 1.0) * 1023.0).round().to(torch.int32)
    flag = torch.ones_like(levels[..., 0]) if valid is None else valid.to(torch.int32)
    return (levels[..., 0] << 20) | (levels[..., 1] << 10) | levels[..., 2] | (flag << 30)


def plane_sweep(
    reference: Int32[Tensor, "H W"],
    sources: Int32[Tensor, "S SH SW"],
    source_sizes: Int32[Tensor, "S 2"],
    projections: Float[Tensor, "S 3 4"],
    inverse_depths: Float[Tensor, "D"],
    *,
    source_depths: Float[Tensor, "S SH SW"] | None = None,
    lowest_weight: float = 0.5,
) -> UInt8[Tensor, "H W D"]:
    """Return the cost of every plane at every pixel of the reference picture.

    Per source, the cost is half 1 - ZNCC over 7 x 7 pixels and half a truncated difference of colours and gradients
    over 5 x 5; a source that does not see the point is left out; a plane that none sees costs 0.9. With
    `source_depths`, a source whose surface hides the point is left out as well, agreement with its surface lowers the
    cost by 0.1, and standing in front of it raises the cost by 0.1.

    Args:
        reference: packed picture (`pack_colors`).
        sources: packed pictures, padded to a common size.
        source_sizes: (width, height) used of each.
        projections: maps (u, v, 1, inverse depth) of a reference pixel to homogeneous source pixels whose third
            component, divided by the inverse depth, is the depth in the source.
        inverse_depths: the planes, positive; their number is a multiple of 16.
        source_depths: z in each source, 0 = unknown.
        lowest_weight: the cost over sources is this share of the lowest plus the rest of the mean.

    Returns:
        round(200 * cost), at most 255.
    """
    height, width = reference.shape
    count, source_height, source_width = sources.shape
    _check("source_sizes", source_sizes, (count, 2))
    _check("projections", projections, (count, 3, 4))
    if source_depths is not None:
        _check("source_depths", source_depths, (count, source_height, source_width))
    planes = _check_planes(len(inverse_depths))
    if count < 1:
        raise ValueError("plane_sweep: expected at least one source, got none")
    if min(height, width, int(source_sizes.min())) < 2:
        raise ValueError("plane_sweep: pictures must be at least 2 x 2 pixels")
    if int(source_sizes[:, 0].max()) > source_width or int(source_sizes[:, 1].max()) > source_height:
        raise ValueError(
            f"plane_sweep: source_sizes exceed the sources' {source_width} x {source_height} pixels"
        )
    if not bool((inverse_depths > 0).all()):
        raise ValueError("plane_sweep: inverse_depths must be positive")
    volume = torch.empty((height, width, planes), dtype=torch.uint8)
    _core.plane_sweep(
        reference.contiguous(),
        sources.contiguous(),
        source_sizes.contiguous(),
        projections.contiguous(),
        inverse_depths.contiguous(),
        None if source_depths is None else source_depths.contiguous(),
        lowest_weight,
        volume,
    )
    return volume


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

    Args:
        volume: matching costs.
        gray: the reference picture's luma; steps in it weaken the large penalty.
        small_penalty: for a change by one plane.
        large_penalty: for a larger change; divided by 1 + edge_weight * |step of grey in [0, 1]|.

    Source: Hirschmueller, "Stereo processing by semiglobal matching and mutual information", 2008.
    """
    height, width, planes = volume.shape
    _check("gray", gray, (height, width))
    _check_planes(planes)
    if not 0 <= small_penalty <= large_penalty <= 4000:
        raise ValueError(
            f"semi_global_matching: expected 0 <= small_penalty <= large_penalty <= 4000, got {small_penalty} and "
            f"{large_penalty}"
        )
    index, best, runner_up = (torch.empty((height, width), dtype=torch.float32) for _ in range(3))
    penalties = large_penalties(small_penalty, large_penalty, edge_weight)
    _core.semi_global_matching(
        volume.contiguous(), gray.contiguous(), small_penalty, penalties, index, best, runner_up
    )
    return Matching(index, best, runner_up)


def large_penalties(small_penalty: int, large_penalty: int, edge_weight: float) -> Int32[Tensor, "256"]:
    """Return the penalty of a large step for every absolute difference of 8-bit grey, never below the small one."""
    steps = torch.arange(256, dtype=torch.float64) / 255.0
    return (large_penalty / (1.0 + edge_weight * steps)).round().clamp(min=small_penalty).to(torch.int32)


def _check(name: str, tensor: Tensor, shape: tuple[int, ...]) -> None:
    if tuple(tensor.shape) != shape:
        raise ValueError(f"{name}: expected shape {shape}, got {tuple(tensor.shape)}")


def _check_planes(planes: int) -> int:
    if planes == 0 or planes % PLANE_MULTIPLE:
        raise ValueError(
            f"the number of planes must be a positive multiple of {PLANE_MULTIPLE}, got {planes}"
        )
    return planes
