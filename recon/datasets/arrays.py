"""Read numpy files from untrusted folders: never pickled, never larger than they can be."""

import zipfile
from pathlib import Path

import numpy as np
from numpy import ndarray

from recon.datasets.decode import shown
from recon.errors import ReconError

MAX_BYTES = 64 * 2**20
"""Camera files hold kilobytes; this bounds what a prepared archive can unpack to."""


def read_npy(path: Path) -> ndarray:
    """Read one array of numbers.

    Raises:
        ReconError: when the file is unreadable, holds objects, or is shorter than its header claims.
    """
    try:
        return np.array(np.load(path, mmap_mode="r", allow_pickle=False), dtype=np.float64)
    except Exception as error:  # a damaged header can raise nearly anything, the tokenizer's errors included
        raise ReconError(f"{shown(path)} is not a readable array of numbers: {error}") from error


def read_npz(path: Path) -> dict[str, ndarray]:
    """Read an archive of named number arrays.

    Raises:
        ReconError: when the archive is unreadable, holds objects, or would unpack to more than 64 MB.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > MAX_BYTES:
            raise ReconError(
                f"{shown(path)} would unpack to {size / 1e6:.0f} MB, too much for a file of cameras"
            )
        with np.load(path, allow_pickle=False) as arrays:
            return {name: np.asarray(arrays[name], dtype=np.float64) for name in arrays.files}
    except ReconError:
        raise
    except Exception as error:  # zip, zlib and header errors come in many types
        raise ReconError(f"{shown(path)} is not a readable archive of number arrays: {error}") from error
