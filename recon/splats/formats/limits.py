"""What every file of Gaussians must satisfy, on the way in and on the way out."""

from collections.abc import Iterator

import numpy as np
from numpy import ndarray

from recon.errors import ReconError
from recon.splats.gaussians import Gaussians

MAX_SPLATS = 1 << 24
"""Most Gaussians in one file (16.8 million): larger than any capture of a room or a street, 4 GB as floats."""

MAX_LOG_SCALE = 80.0
"""exp(88.7) overflows float32; no standard deviation of 10^34 is meant."""

BLOCK = 1024
"""Gaussians converted at a time: temporary arrays then stay in the cache and do not grow with the file."""


def blocks(count: int, rows: int = BLOCK) -> Iterator[slice]:
    """Yield consecutive slices of at most `rows` that cover `count` Gaussians."""
    for start in range(0, count, rows):
        yield slice(start, min(start + rows, count))


def check_count(source: str, count: int) -> None:
    """Raise ReconError unless a file may hold this many Gaussians."""
    if count < 1:
        raise ReconError(f"{source} holds no Gaussians")
    if count > MAX_SPLATS:
        raise ReconError(f"{source} states {count} Gaussians; files of at most {MAX_SPLATS} are read")


def check_arrays(source: str, arrays: dict[str, ndarray]) -> None:
    """Raise ReconError when an attribute is NaN, infinite, or a scale that overflows.

    Zero quaternions, which some programs write for invisible Gaussians, become the identity in place.
    """
    for part in blocks(len(arrays["means"])):
        for name, array in arrays.items():
            finite = np.isfinite(array[part])
            if not finite.all():
                row = part.start + int(np.argwhere(~finite)[0, 0])
                raise ReconError(
                    f"{source} is damaged: {name.replace('_', ' ')} of Gaussian {row} is NaN or infinite"
                )
        if arrays["log_scales"][part].max() > MAX_LOG_SCALE:
            raise ReconError(f"{source} is damaged: it holds a Gaussian larger than any number can say")
        quaternions = arrays["quaternions"][part]
        quaternions[~quaternions.any(axis=1)] = [1.0, 0.0, 0.0, 0.0]


def arrays_to_write(path: object, gaussians: Gaussians) -> dict[str, ndarray]:
    """Return the attributes as numpy arrays on the CPU, checked to be readable again.

    Raises:
        ReconError: when there are none or too many, or an attribute is NaN or infinite.
    """
    if not 1 <= len(gaussians) <= MAX_SPLATS:
        raise ReconError(
            f"{path} was not written: files hold 1 to {MAX_SPLATS} Gaussians, not {len(gaussians)}"
        )
    arrays = {name: tensor.detach().cpu().float().numpy() for name, tensor in gaussians.tensors().items()}
    for name, array in arrays.items():
        for part in blocks(len(array)):
            if not np.isfinite(array[part]).all():
                raise ReconError(f"{path} was not written: the {name.replace('_', ' ')} hold NaN or infinity")
    if arrays["log_scales"].max() > MAX_LOG_SCALE:
        raise ReconError(f"{path} was not written: a Gaussian is larger than any number can say")
    return arrays


def byte_opacities(logits: ndarray) -> ndarray:
    """Return opacities as bytes, 0 to 255 for 0 to 1."""
    return np.rint(255 / (1 + np.exp(-np.clip(logits.astype(np.float64), -80, 80)))).astype(np.uint8)


def byte_opacity_logits(opacities: ndarray) -> ndarray:
    """Return the inverse sigmoid of opacities stored as bytes; 0 and 255 count as 0.25 and 254.75, to stay finite."""
    return _BYTE_OPACITY_LOGITS[opacities]


_BYTE_OPACITY_LOGITS = np.log(
    np.clip(np.arange(256), 0.25, 254.75) / (255 - np.clip(np.arange(256), 0.25, 254.75))
).astype(np.float32)
