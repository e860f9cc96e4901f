"""The kernel library's public functions: shape checks, gradients, choice of back end."""

from recon.ops.native import DeviceInfo, device_info, set_threads
from recon.ops.rasterization import Rasterization
from recon.ops.rasterize import rasterize

__all__ = [
    "DeviceInfo",
    "Rasterization",
    "device_info",
    "rasterize",
    "set_threads",
]
