"""Plane-sweep matching costs."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int32, UInt8
from torch import Tensor

from recon.ops.native import core

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
    inverse_depths: Float[Tensor, D],
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
    check_shape("source_sizes", source_sizes, (count, 2))
    check_shape("projections", projections, (count, 3, 4))
    if source_depths is not None:
        check_shape("source_depths", source_depths, (count, source_height, source_width))
    planes = check_planes(len(inverse_depths))
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
    core().plane_sweep(
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


def check_shape(name: str, tensor: Tensor, shape: tuple[int, ...]) -> None:
    """Raise where a tensor has not the expected shape."""
    if tuple(tensor.shape) != shape:
        raise ValueError(f"{name}: expected shape {shape}, got {tuple(tensor.shape)}")


def check_planes(planes: int) -> int:
    """Return the number of planes if the kernels can handle it."""
    if planes == 0 or planes % PLANE_MULTIPLE:
        raise ValueError(
            f"the number of planes must be a positive multiple of {PLANE_MULTIPLE}, got {planes}"
        )
    return planes
