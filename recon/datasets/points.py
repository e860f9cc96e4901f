"""Sparse points of a run as a .ply file, which most programs for point clouds open."""

import re
from pathlib import Path

import numpy as np

from recon.errors import ReconError
from recon.files import atomic_write, read_bytes
from recon.scene import SparsePoints

MAX_BYTES = 512 << 20
"""A larger file is not read: twelve photos give some ten thousand points of 27 bytes."""

_RECORD = np.dtype([(axis, "<f8") for axis in "xyz"] + [(color, "u1") for color in ("red", "green", "blue")])
_HEADER = (
    "ply\nformat binary_little_endian 1.0\nelement vertex {count}\n"
    "property double x\nproperty double y\nproperty double z\n"
    "property uchar red\nproperty uchar green\nproperty uchar blue\nend_header\n"
)


def write_points(path: Path, points: SparsePoints) -> None:
    """Write positions and colours; `read_points` gives them back exactly.

    Raises:
        ReconError: when the file cannot be written.
    """
    records = np.zeros(len(points.positions), _RECORD)
    for column, axis in enumerate("xyz"):
        records[axis] = points.positions[:, column]
    for column, color in enumerate(("red", "green", "blue")):
        records[color] = points.colors[:, column]
    with atomic_write(path) as file:
        file.write(_HEADER.format(count=len(records)).encode("ascii") + records.tobytes())


def read_points(path: Path) -> SparsePoints:
    """Read a file that `write_points` wrote; other .ply files are refused.

    Raises:
        ReconError: when the file is missing, or is not such a file.
    """
    content = read_bytes(path, MAX_BYTES)
    count = re.search(rb"^element vertex (\d{1,9})$", content[:200], re.MULTILINE)
    header = _HEADER.format(count=int(count[1])).encode("ascii") if count else b""
    if (
        not count
        or not content.startswith(header)
        or len(content) != len(header) + int(count[1]) * _RECORD.itemsize
    ):
        raise ReconError(f"{path} does not hold the sparse points of a run, or only a part of them")
    records = np.frombuffer(content, _RECORD, offset=len(header))
    positions = np.stack([records[axis] for axis in "xyz"], axis=-1)
    if not np.isfinite(positions).all():
        raise ReconError(f"{path} holds points at NaN or infinity")
    colors = np.stack([records[color] for color in ("red", "green", "blue")], axis=-1)
    return SparsePoints(positions, colors)
