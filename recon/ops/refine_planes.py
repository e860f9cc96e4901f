"""Slanted planes from fronto-parallel depth."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int32
from torch import Tensor

from recon.ops import native
from recon.ops.plane_sweep import check_pictures
from recon.ops.shapes import Shapes

MAX_SWEEPS = 16


@dataclass(frozen=True, eq=False)
class Planes:
    """One plane per pixel: inverse depth is linear over the picture.

    Attributes:
        inverse_depth: [H, W] at the pixel's centre; 0 = no plane.
        slope: [H, W, 2] change of inverse depth per pixel to the right and down.
        cost: [H, W] 1 - bilateral NCC with the best source, in [0, 1.25].
    """

    inverse_depth: Float[Tensor, "H W"]
    slope: Float[Tensor, "H W 2"]
    cost: Float[Tensor, "H W"]


def refine_planes(
    reference: Int32[Tensor, "H W"],
    sources: Int32[Tensor, "S SH SW"],
    source_sizes: Int32[Tensor, "S 2"],
    projections: Float[Tensor, "S 3 4"],
    inverse_depths: Float[Tensor, "H W"],
    slopes: Float[Tensor, "H W 2"],
    *,
    focal: float,
    sweeps: int = 3,
    depth_step: float = 0.02,
    holding: float = 0.1,
) -> Planes:
    """Refine depth to slanted planes by PatchMatch, staying near where it starts. Not differentiable.

    In each sweep every pixel tries the planes of its four neighbours and three random changes of its own, by
    bilateral NCC over 11 x 11 pixels against the source that fits best. The changes are drawn from the pixel's number,
    so the result is the same on every run and for any number of threads.

    Args:
        reference, sources, source_sizes, projections: as for `plane_sweep`.
        inverse_depths: where the search starts and is held to; 0 = no plane there.
        slopes: change of inverse depth per pixel to the right and down, where the search starts.
        focal: of the reference, in pixels: turns slants into slopes.
        depth_step: relative change of depth tried in the first sweep; halves with each.
        holding: cost of moving 2 % away from the start. Without it, the search destroys what the smoothness of
            semi-global matching has won.

    Raises:
        TypeError, ValueError: when a dtype, a shape or a value does not fit.

    Source: Bleyer, Rhemann, Rother, "PatchMatch Stereo", 2011; checkerboard order from Galliani, Lasinger, Schindler,
    "Massively parallel multiview stereopsis by surface normal diffusion", 2015.
    """
    shapes = Shapes("refine_planes")
    check_pictures(shapes, reference, sources, source_sizes, projections)
    shapes.check("inverse_depths", inverse_depths, "H W")
    shapes.check("slopes", slopes, "H W 2")
    if not 0 <= sweeps <= MAX_SWEEPS:
        raise ValueError(f"refine_planes: expected 0 to {MAX_SWEEPS} sweeps, got {sweeps}")
    if not focal > 0:
        raise ValueError(f"refine_planes: expected a positive focal length, got {focal}")
    start = inverse_depths.detach().contiguous()
    planes = torch.cat([start[None], slopes.detach().movedim(-1, 0)]).contiguous()
    cost = torch.zeros_like(start)
    native.call(
        "refine_planes",
        reference.contiguous(),
        sources.contiguous(),
        source_sizes.contiguous(),
        projections.detach().contiguous(),
        start,
        float(focal),
        sweeps,
        float(depth_step),
        float(holding),
        planes,
        cost,
    )
    return Planes(planes[0], planes[1:].movedim(0, -1), cost)
