"""The compiled kernels: loaded when first used, chosen by the device of the tensors."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from recon.errors import ReconError


def call(name: str, *arguments):
    """Call the kernel `name` on the device of its first tensor argument.

    Tensors must be detached and contiguous. CUDA kernels run on the current stream of that device and never wait
    for the host.
    """
    device = next(argument.device for argument in arguments if isinstance(argument, Tensor))
    return back_end(device)(name, arguments)


def back_end(device: torch.device) -> Callable[[str, Sequence], Any]:
    """Return the function that runs kernels by name on tensors of `device`.

    Raises:
        ReconError: if there are none for such a device, or they cannot be loaded.
    """
    if device.type == "cpu":
        return _call_core
    if device.type == "cuda":
        return _call_cuda
    raise ReconError(
        f"The kernels run on cpu and cuda tensors, but got tensors on {device}; move them with .to('cpu')."
    )


@functools.cache
def core() -> ModuleType:
    """Return the CPU kernels.

    Raises:
        ReconError: if the extension was not built.
    """
    return _load("_core", "install the package (pip install .) or run `make dev` in a checkout")


@functools.cache
def cuda() -> ModuleType:
    """Return the CUDA kernels.

    Raises:
        ReconError: if this installation was built without them.
    """
    return _load("_cuda", "install on a machine with nvcc, run `RECON_CUDA=ON make dev`, or use --device cpu")


@functools.cache
def cuda_problem() -> str | None:
    """Say in one sentence why the CUDA kernels cannot be used here, or return None once one has run."""
    if not torch.cuda.is_available():
        return "torch finds no CUDA device on this machine."
    try:
        row = torch.zeros(1, 1, device="cuda")
        call("adam_step", row, row + 1, row.clone(), row.clone(), None, 1.0, 0.5, 0.9, 0.999, 1e-15)
        moved = float(row)
    except (ReconError, RuntimeError) as error:
        return str(error)
    return None if abs(moved + 0.5) < 1e-5 else f"a test kernel gave {moved} instead of -0.5."


def _call_core(name: str, arguments: Sequence) -> Any:
    return getattr(core(), name)(*arguments)


def _call_cuda(name: str, arguments: Sequence) -> Any:
    device = next(argument.device for argument in arguments if isinstance(argument, Tensor))
    with torch.cuda.device(device):
        stream = torch.cuda.current_stream(device).cuda_stream
        return getattr(cuda(), name)(*arguments, stream, functools.partial(_scratch, device))


def _scratch(device: torch.device, size: int) -> Tensor:
    return torch.empty(size, dtype=torch.uint8, device=device)


def _load(name: str, remedy: str) -> ModuleType:
    try:
        return importlib.import_module(f"recon.{name}")
    except ImportError as error:
        raise ReconError(f"The kernels recon.{name} cannot be loaded ({error}): {remedy}.") from error
