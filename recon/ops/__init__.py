"""The kernel library's public functions: one per op, on CPU and CUDA tensors."""

from recon.ops.stereo import pack_colors, plane_sweep, semi_global_matching

__all__ = ["pack_colors", "plane_sweep", "semi_global_matching"]
