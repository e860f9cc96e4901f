"""The compiled kernels: `recon._core` (CPU, always built) and `recon._cuda` (optional), loaded when first used."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

from recon.errors import ReconError

if TYPE_CHECKING:
    import torch


def call(name: str, *arguments: Any) -> Any:
    """Call the kernel `name` on the device of its first tensor argument.

    Tensors must be detached and contiguous. CUDA kernels run on the current stream of that device and never wait
    for the host.

    Raises:
        ReconError: when the tensors are on another kind of device, or the kernels for theirs cannot be used.
    """
    import torch

    device = next(argument.device for argument in arguments if isinstance(argument, torch.Tensor))
    return call_on(device, name, *arguments)


def call_on(device: torch.device, name: str, *arguments: Any) -> Any:
    """Call the kernel `name` on `device`; tensors may also be given as addresses. See `call`."""
    if device.type == "cpu":
        return _call_core(name, arguments)
    if device.type == "cuda":
        return _call_cuda(name, arguments, device)
    raise ReconError(
        f"The kernel {name} runs on cpu and cuda tensors, but got tensors on {device}; move them with .to('cpu')."
    )


@functools.cache
def core() -> ModuleType:
    """Return the CPU kernels.

    Raises:
        ReconError: when they were not built.
    """
    try:
        return importlib.import_module("recon._core")
    except ImportError as error:
        raise ReconError(
            f"recon's CPU kernels (recon._core) could not be loaded: {error}. Install recon with a C++ compiler "
            "present (`pip install .`), or build them in place with `make dev`."
        ) from error


@functools.cache
def cuda() -> ModuleType:
    """Return the CUDA kernels.

    Raises:
        ReconError: when they were not built or cannot run here.
    """
    problem = _cuda_problem()
    if problem is not None:
        raise ReconError(
            f"recon's CUDA kernels cannot be used: {problem}. Move the tensors to the CPU (device='cpu')."
        )
    return importlib.import_module("recon._cuda")


@dataclass(frozen=True)
class DeviceInfo:
    """What the kernels run on.

    Attributes:
        instruction_set: SIMD build of the CPU kernels in use: "baseline", "avx2" or "avx512".
        threads: number of CPU threads the kernels use.
        cuda: name of the CUDA device, or None where CUDA kernels cannot be used.
        cuda_problem: why not, in a few words; None where they can.
    """

    instruction_set: str
    threads: int
    cuda: str | None
    cuda_problem: str | None


def device_info() -> DeviceInfo:
    """Return what the kernels run on, and why CUDA is not used where it is not."""
    problem = _cuda_problem()
    name = None
    if problem is None:
        import torch

        name = torch.cuda.get_device_name()
    return DeviceInfo(core().instruction_set(), core().thread_count(), name, problem)


def set_threads(count: int) -> None:
    """Set how many threads the CPU kernels use. Results do not depend on it, to the last bit.

    Raises:
        ReconError: when count is not positive.
    """
    if count < 1:
        raise ReconError(f"the number of threads must be at least 1, got {count}")
    core().set_thread_count(count)


def _call_core(name: str, arguments: Sequence) -> Any:
    return getattr(core(), name)(*arguments)


def _call_cuda(name: str, arguments: Sequence, device: torch.device) -> Any:
    import torch

    def scratch(size: int) -> torch.Tensor:
        return torch.empty(size, dtype=torch.uint8, device=device)

    with torch.cuda.device(device):
        return getattr(cuda(), name)(*arguments, torch.cuda.current_stream(device).cuda_stream, scratch)


@functools.cache
def _cuda_problem() -> str | None:
    try:
        importlib.import_module("recon._cuda")
    except ImportError as error:
        missing = isinstance(error, ModuleNotFoundError)
        return "they were not built (no CUDA toolkit at install time)" if missing else str(error)
    import torch

    return None if torch.cuda.is_available() else "torch finds no CUDA device"
