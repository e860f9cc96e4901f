"""The plain torch twin of every op: readable, any floating dtype, differentiable by autograd; slow."""

from recon.ops.reference.adam import adam_step
from recon.ops.reference.l1_ssim import l1_ssim
from recon.ops.reference.nearest_neighbors import nearest_neighbors
from recon.ops.reference.plane_sweep import plane_sweep
from recon.ops.reference.rasterize import rasterize
from recon.ops.reference.refine_planes import refine_planes
from recon.ops.reference.semi_global_matching import semi_global_matching

__all__ = [
    "adam_step",
    "l1_ssim",
    "nearest_neighbors",
    "plane_sweep",
    "rasterize",
    "refine_planes",
    "semi_global_matching",
]
