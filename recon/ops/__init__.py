"""The kernel library's public functions: shape checks, gradients, choice of back end."""

from recon.ops.native import DeviceInfo, device_info, set_threads
from recon.ops.rasterization import Rasterization
from recon.ops.rasterize import rasterize
from recon.ops.plane_sweep import pack_colors, plane_sweep
from recon.ops.semi_global_matching import Matching, semi_global_matching

__all__ = [
    "DeviceInfo",
    "Matching",
    "pack_colors",
    "plane_sweep",
    "semi_global_matching",
    "Rasterization",
    "device_info",
    "rasterize",
    "set_threads",
]
