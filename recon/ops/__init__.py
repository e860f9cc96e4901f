"""The kernel library's public functions: shape checks, gradients, choice of back end.

Every op takes float32 tensors on one device and has a plain torch twin of the same name in
`recon.ops.reference`, which says what the op computes and is the oracle of its tests.
"""

from recon.ops.adam import adam_step
from recon.ops.l1_ssim import l1_ssim
from recon.ops.native import DeviceInfo, device_info, set_threads
from recon.ops.nearest_neighbors import nearest_neighbors
from recon.ops.plane_sweep import pack_colors, plane_sweep
from recon.ops.rasterization import Rasterization
from recon.ops.rasterize import rasterize
from recon.ops.refine_planes import Planes, refine_planes
from recon.ops.semi_global_matching import Matching, semi_global_matching

__all__ = [
    "DeviceInfo",
    "Matching",
    "Planes",
    "Rasterization",
    "adam_step",
    "device_info",
    "l1_ssim",
    "nearest_neighbors",
    "pack_colors",
    "plane_sweep",
    "rasterize",
    "refine_planes",
    "semi_global_matching",
    "set_threads",
]
