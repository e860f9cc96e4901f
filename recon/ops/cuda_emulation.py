"""Run the CUDA kernels on the CPU, thread by thread, to test their logic where there is no GPU."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from recon.errors import ReconError
from recon.ops import native


@contextlib.contextmanager
def emulated_cuda(descending: bool = False, pair_capacity: int = 0) -> Iterator[torch.device]:
    """Let CPU tensors be handled by the CUDA kernels while the context lasts.

    Args:
        descending: run the threads of a block from the last to the first. A kernel that lacks a barrier tends to
            give another result then.
        pair_capacity: room for the rasterizer's pairs of Gaussian and tile; 0 counts them first.

    Yields:
        The device to put tensors on.

    Raises:
        ReconError: when the emulation was not built.
    """
    try:
        emulated = importlib.import_module("recon._cuda_emulated")
    except ImportError as error:
        raise ReconError(
            f"The emulation of the CUDA kernels cannot be loaded ({error}): it is built by `make dev` only."
        ) from error

    def call(name: str, arguments: Sequence) -> Any:
        if name == "rasterize_forward":
            arguments = (*arguments, pair_capacity)
        return getattr(emulated, name)(*arguments, 0, _poisoned)

    emulated.set_descending(descending)
    before = native._call_core
    native._call_core = call
    try:
        yield torch.device("cpu")
    finally:
        native._call_core = before


def _poisoned(size: int) -> torch.Tensor:
    """Return scratch memory full of NaN, so that reading what was never written shows."""
    return torch.full((size,), 0xFF, dtype=torch.uint8)
