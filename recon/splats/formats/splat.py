"""The .splat format: 32 bytes per Gaussian, no header, no view-dependent colour.

Per Gaussian, little endian: position (3 float32), standard deviations (3 float32), red, green, blue and opacity
(4 bytes, 0 to 255 for 0 to 1), rotation w, x, y, z (4 bytes, 128 for 0, `round(128 q) + 128`).

What is lost: harmonics of degree 1 and more, colour outside 0 to 1, rotation and opacity beyond 8 bits. Opacities of 0
and 1, whose inverse sigmoid is infinite, read as a quarter of a step inside.

Source: the antimatter15/splat viewer's format, which has no written specification.
"""

import os

import numpy as np
import torch

from recon.errors import ReconError
from recon.files import atomic_write, read_bytes
from recon.splats.formats.limits import (
    MAX_SPLATS,
    arrays_to_write,
    blocks,
    byte_opacities,
    byte_opacity_logits,
    check_arrays,
    check_count,
)
from recon.splats.gaussians import SH_C0, Gaussians

_RECORD = np.dtype([("mean", "<f4", 3), ("scale", "<f4", 3), ("rgba", "u1", 4), ("quaternion", "u1", 4)])

_SMALLEST_SCALE = 1e-30
"""Zero deviations, which have no logarithm, read as this."""


def read_splat(path: str | os.PathLike[str]) -> Gaussians:
    """Read a .splat file.

    Raises:
        ReconError: when the file is missing, damaged, or too large.
    """
    return decode_splat(read_bytes(path, MAX_SPLATS * _RECORD.itemsize), str(path))


def write_splat(path: str | os.PathLike[str], gaussians: Gaussians) -> None:
    """Write a .splat file; it keeps only the colour that all viewing directions share.

    Raises:
        ReconError: when the Gaussians hold NaN or infinity, or the file cannot be written.
    """
    arrays = arrays_to_write(path, gaussians)
    with atomic_write(path) as file:
        for part in blocks(len(gaussians)):
            records = np.empty(part.stop - part.start, _RECORD)
            records["mean"] = arrays["means"][part]
            records["scale"] = np.exp(arrays["log_scales"][part])
            records["rgba"][:, :3] = np.clip(
                np.rint(255 * (0.5 + SH_C0 * arrays["sh"][part, 0].astype(np.float64))), 0, 255
            )
            records["rgba"][:, 3] = byte_opacities(arrays["opacity_logits"][part])
            quaternions = arrays["quaternions"][part].astype(np.float64)
            quaternions /= np.maximum(np.linalg.norm(quaternions, axis=1, keepdims=True), 1e-300)
            records["quaternion"] = np.clip(np.rint(128 * quaternions) + 128, 0, 255)
            file.write(records.tobytes())


def decode_splat(content: bytes, source: str) -> Gaussians:
    """Decode the content of a .splat file; allocates at most twice its size.

    Args:
        source: what to call the file in errors.

    Raises:
        ReconError: as `read_splat`.
    """
    if len(content) % _RECORD.itemsize:
        raise ReconError(
            f"{source} is not a whole .splat file: its {len(content)} bytes are not a multiple of {_RECORD.itemsize}"
        )
    count = len(content) // _RECORD.itemsize
    check_count(source, count)
    records = np.frombuffer(content, _RECORD)
    arrays = {
        "means": np.empty((count, 3), np.float32),
        "log_scales": np.empty((count, 3), np.float32),
        "quaternions": np.empty((count, 4), np.float32),
        "opacity_logits": np.empty(count, np.float32),
        "sh": np.empty((count, 1, 3), np.float32),
    }
    for part in blocks(count):
        block = records[part]
        if not (block["scale"] >= 0).all():  # also false for NaN
            raise ReconError(
                f"{source} is damaged: a Gaussian among {part.start} to {part.stop - 1} has no valid size"
            )
        arrays["means"][part] = block["mean"]
        arrays["log_scales"][part] = np.log(np.maximum(block["scale"].astype(np.float64), _SMALLEST_SCALE))
        arrays["quaternions"][part] = (block["quaternion"].astype(np.float64) - 128) / 128
        arrays["opacity_logits"][part] = byte_opacity_logits(block["rgba"][:, 3])
        arrays["sh"][part, 0] = (block["rgba"][:, :3] / 255.0 - 0.5) / SH_C0
    check_arrays(source, arrays)
    return Gaussians(**{name: torch.from_numpy(array) for name, array in arrays.items()})
