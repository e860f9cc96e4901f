"""Reading and writing Gaussians: .ply (exact), .spz (small), .splat (simple).

All readers take files from strangers: every count is checked against the bytes that are there before anything is
allocated, and what is wrong is told in a sentence.
"""

import os
from pathlib import Path

from recon.errors import ReconError
from recon.splats.formats.ply import decode_ply, read_ply, write_ply
from recon.splats.formats.splat import decode_splat, read_splat, write_splat
from recon.splats.formats.spz import decode_spz, read_spz, write_spz
from recon.splats.gaussians import Gaussians

__all__ = [
    "SUFFIXES",
    "decode_ply",
    "decode_splat",
    "decode_spz",
    "read_ply",
    "read_splat",
    "read_splats",
    "read_spz",
    "write_ply",
    "write_splat",
    "write_splats",
    "write_spz",
]

_READERS = {".ply": read_ply, ".spz": read_spz, ".splat": read_splat}
_WRITERS = {".ply": write_ply, ".spz": write_spz, ".splat": write_splat}

SUFFIXES = tuple(_READERS)
"""The file name endings that `read_splats` and `write_splats` know."""


def read_splats(path: str | os.PathLike[str]) -> Gaussians:
    """Read Gaussians from a .ply, .spz or .splat file, told apart by the file name's ending.

    Raises:
        ReconError: when the ending is none of these, or the file is missing, damaged, or too large.
    """
    return _READERS[_known_suffix(path)](path)


def write_splats(path: str | os.PathLike[str], gaussians: Gaussians) -> None:
    """Write Gaussians as .ply, .spz or .splat, chosen by the file name's ending.

    .ply keeps every bit. .spz quantises (see `recon.splats.formats.spz`). .splat also drops what depends on the
    viewing direction.

    Raises:
        ReconError: when the ending is none of these, the Gaussians do not fit the format or hold NaN or infinity,
            or the file cannot be written.
    """
    _WRITERS[_known_suffix(path)](path, gaussians)


def _known_suffix(path: str | os.PathLike[str]) -> str:
    suffix = Path(path).suffix.lower()
    if suffix not in _READERS:
        raise ReconError(
            f"{path}: Gaussians are kept in {', '.join(SUFFIXES)} files, but this name ends in {suffix!r}"
        )
    return suffix
