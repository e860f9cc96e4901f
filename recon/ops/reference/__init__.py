"""The plain torch twin of every op: readable, any floating dtype, differentiable by autograd; slow."""

from recon.ops.reference.adam import adam_step
from recon.ops.reference.l1_ssim import l1_ssim
from recon.ops.reference.nearest_neighbors import nearest_neighbors
from recon.ops.reference.rasterize import rasterize

__all__ = ["adam_step", "l1_ssim", "nearest_neighbors", "rasterize"]
