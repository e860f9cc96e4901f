"""The compiled kernels: loaded when first used, chosen by the device of the tensors."""

from __future__ import annotations

import functools
import importlib
from types import ModuleType

import torch
from torch import Tensor

from recon.errors import ReconError


def call(name: str, *arguments):
    """Call the kernel `name` on the device of its first tensor argument.

    Tensors must be detached and contiguous. CUDA kernels run on the current stream of that device, which they
    get as a last argument, and never wait for the host.
    """
    device = next(argument.device for argument in arguments if isinstance(argument, Tensor))
    if device.type == "cpu":
        return getattr(core(), name)(*arguments)
    if device.type == "cuda":
        with torch.cuda.device(device):
            return getattr(cuda(), name)(*arguments, torch.cuda.current_stream(device).cuda_stream)
    raise ReconError(
        f"The kernel {name} runs on cpu and cuda tensors, but got tensors on {device}; "
        "move them with .to('cpu')."
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
    """Say in one sentence why CUDA tensors cannot be used here, or return None where a kernel has run."""
    if not torch.cuda.is_available():
        return "torch finds no CUDA device on this machine."
    try:
        cuda()
        with torch.no_grad():
            row = torch.zeros(1, 1, device="cuda")
            call("adam_step", row, row, row, row, None, _scalar(1.0), _scalar(0.0), 0.9, 0.999, 1e-15)
            torch.cuda.synchronize()
    except (ReconError, RuntimeError) as error:
        return str(error)
    return None


def _scalar(value: float) -> Tensor:
    return torch.tensor(value, device="cuda")


def _load(name: str, remedy: str) -> ModuleType:
    try:
        return importlib.import_module(f"recon.{name}")
    except ImportError as error:
        raise ReconError(f"The kernels recon.{name} cannot be loaded ({error}): {remedy}.") from error
