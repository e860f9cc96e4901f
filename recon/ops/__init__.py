"""Differentiable building blocks with CPU and CUDA kernels; one public function per file.

Every op takes float32 tensors on one device and has a plain torch twin of the same name in
`recon.ops.reference`, which says what the op computes and is the oracle of its tests.
"""

from recon.ops.adam import adam_step
from recon.ops.l1_ssim import l1_ssim
from recon.ops.nearest_neighbors import nearest_neighbors

__all__ = ["adam_step", "l1_ssim", "nearest_neighbors"]
