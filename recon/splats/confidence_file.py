"""Confidence per Gaussian, kept beside the splat of a run."""

from __future__ import annotations

from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from recon.errors import ReconError
from recon.files import atomic_write, read_bytes
from recon.splats.formats.limits import MAX_SPLATS

_NAME = "confidence"


def write_confidence_file(path: Path, confidence: Float[Tensor, N]) -> None:
    """Write one number in [0, 1] per Gaussian, in the splat file's order, as safetensors."""
    from safetensors.torch import save

    with atomic_write(path) as file:
        file.write(save({_NAME: confidence.detach().cpu().float().contiguous()}))


def read_confidence_file(path: Path) -> Float[Tensor, N]:
    """Read what `write_confidence_file` wrote.

    Raises:
        ReconError: when the file is missing, damaged, or holds anything but numbers in [0, 1].
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load

    content = read_bytes(path, 4 * MAX_SPLATS + (1 << 16))
    try:
        confidence = load(content)[_NAME]
    except (SafetensorError, KeyError, ValueError) as error:
        raise ReconError(f"{path} is not a confidence file: {error}") from None
    if confidence.ndim != 1 or confidence.dtype != torch.float32:
        raise ReconError(f"{path} is damaged: it should hold one float32 per Gaussian")
    if not bool(((confidence >= 0) & (confidence <= 1)).all()):  # also false for NaN
        raise ReconError(f"{path} is damaged: confidence lies between 0 and 1")
    return confidence
