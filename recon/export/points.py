"""Coloured points as a .ply file that every point viewer opens."""

from __future__ import annotations

import os

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from recon.files import atomic_write

MAX_POINTS = 500_000
"""More points than this are thinned out evenly: a viewer shows no difference, and the file stays below 8 MB."""

_RECORD = np.dtype([("position", "<f4", 3), ("color", "u1", 3)])


def write_points(
    path: str | os.PathLike[str],
    positions: Float[ndarray, "N 3"],
    colors: Float[ndarray, "N 3"],
    *,
    max_points: int = MAX_POINTS,
) -> None:
    """Write points with colours as binary .ply.

    Args:
        positions: world coordinates.
        colors: sRGB in [0, 1].

    Raises:
        ReconError: when the file cannot be written.
    """
    with atomic_write(path) as file:
        file.write(encode_points(positions, colors, max_points=max_points))


def encode_points(
    positions: Float[ndarray, "N 3"], colors: Float[ndarray, "N 3"], *, max_points: int = MAX_POINTS
) -> bytes:
    """Return the content of the file that `write_points` writes."""
    if len(positions) != len(colors):
        raise ValueError(f"expected one colour per point, got {len(positions)} points, {len(colors)} colours")
    step = -(-max(1, len(positions)) // max_points)
    positions, colors = positions[::step], colors[::step]
    records = np.empty(len(positions), _RECORD)
    records["position"] = positions
    records["color"] = np.rint(255 * np.clip(colors, 0, 1))
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(records)}"]
    header += [f"property float {axis}" for axis in "xyz"]
    header += [f"property uchar {channel}" for channel in ("red", "green", "blue")]
    return "\n".join([*header, "end_header\n"]).encode("ascii") + records.tobytes()
