"""Plane-sweep matching costs."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int32, UInt8
from torch import Tensor

from recon.ops import native
from recon.ops.shapes import Shapes

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

    Returns:
        red << 20 | green << 10 | blue, and bit 30 where valid.
    """
    levels = (image.clamp(0.0, 1.0) * 1023.0).round().to(torch.int32)
    flag = torch.ones_like(levels[..., 0]) if valid is None else valid.to(torch.int32)
    return (levels[..., 0] << 20) | (levels[..., 1] << 10) | levels[..., 2] | (flag << 30)


def plane_sweep(
    reference: Int32[Tensor, "H W"],
    sources: Int32[Tensor, "S SH SW"],
    source_sizes: Int32[Tensor, "S 2"],
    projections: Float[Tensor, "S 3 4"],
    inverse_depths: Float[Tensor, " D"],
    *,
    source_depths: Float[Tensor, "S SH SW"] | None = None,
    lowest_weight: float = 0.5,
) -> UInt8[Tensor, "H W D"]:
    """Return the matching cost of every plane at every pixel of the reference picture. Not differentiable.

    Per source, the cost is half 1 - ZNCC over 7 x 7 pixels and half a truncated difference of colours and gradients
    over 5 x 5; a source that does not see the point is left out; a plane that none sees costs 0.9. With
    `source_depths`, a source whose surface hides the point is left out as well, agreement with its surface lowers
    the cost by 0.1, and standing in front of it raises the cost by 0.1.

    Args:
        reference: packed picture (`pack_colors`).
        sources: packed pictures, padded to a common size.
        source_sizes: (width, height) used of each; the rest is not looked at.
        projections: maps (u, v, 1, inverse depth) of a reference pixel to homogeneous pixels of the source; the third
            component divided by the inverse depth must be the depth in the source.
        inverse_depths: the planes, positive; their number is a multiple of 16.
        source_depths: z in each source, 0 = unknown.
        lowest_weight: the cost over sources is this share of the lowest plus the rest of their mean.

    Returns:
        round(200 * cost), at most 255.

    Raises:
        TypeError, ValueError: when a dtype, a shape or a value does not fit.

    Source: plane sweep, Collins 1996; the mixed cost in the spirit of Mei et al. 2011 (AD-Census), with weights of our
    own (docs/stereo.md).
    """
    shapes = Shapes("plane_sweep")
    check_pictures(shapes, reference, sources, source_sizes, projections)
    shapes.check("inverse_depths", inverse_depths, "D")
    if source_depths is not None:
        shapes.check("source_depths", source_depths, "S SH SW")
    planes = check_planes("plane_sweep", shapes.size("D"))
    if not bool((inverse_depths > 0).all()):
        raise ValueError("plane_sweep: expected positive inverse_depths, got a value of 0 or less or NaN")
    volume = torch.empty((*reference.shape, planes), dtype=torch.uint8, device=reference.device)
    native.call(
        "plane_sweep",
        reference.contiguous(),
        sources.contiguous(),
        source_sizes.contiguous(),
        projections.detach().contiguous(),
        inverse_depths.detach().contiguous(),
        None if source_depths is None else source_depths.detach().contiguous(),
        float(lowest_weight),
        volume,
    )
    return volume


def check_pictures(
    shapes: Shapes, reference: Tensor, sources: Tensor, source_sizes: Tensor, projections: Tensor
) -> None:
    """Check the pictures and their relation, which the plane sweep and the plane refinement share."""
    shapes.check("reference", reference, "H W", torch.int32)
    shapes.check("sources", sources, "S SH SW", torch.int32)
    shapes.check("source_sizes", source_sizes, "S 2", torch.int32)
    shapes.check("projections", projections, "S 3 4")
    if shapes.size("S") < 1:
        raise ValueError("expected at least one source picture, got none")
    smallest = min(shapes.size("H"), shapes.size("W"), int(source_sizes.min()))
    if smallest < 2:
        raise ValueError(f"expected pictures of at least 2 x 2 pixels, got one with a side of {smallest}")
    widest, highest = source_sizes.max(dim=0).values.tolist()
    if widest > shapes.size("SW") or highest > shapes.size("SH"):
        raise ValueError(
            f"expected source_sizes within the sources' {shapes.size('SW')} x {shapes.size('SH')} pixels, got up to "
            f"{widest} x {highest}"
        )


def check_planes(op: str, planes: int) -> int:
    """Return the number of planes if the kernels can handle it."""
    if planes == 0 or planes % PLANE_MULTIPLE:
        raise ValueError(
            f"{op}: expected the number of planes to be a multiple of {PLANE_MULTIPLE}, got {planes}"
        )
    return planes
