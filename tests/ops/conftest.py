"""What tests of kernels share."""

import contextlib
import functools

import pytest
import torch

from recon import _core
from recon.ops import native
from recon.ops.cuda_emulation import emulated_cuda


@pytest.fixture(autouse=True)
def fixed_seed():
    torch.manual_seed(0)


@pytest.fixture
def use_instruction_set():
    """Return a function that selects a build of the kernels; it skips where the processor lacks it."""
    before = _core.instruction_set()

    def use(name):
        if not _core.set_instruction_set(name):
            pytest.skip(f"this processor has no {name}")

    yield use
    _core.set_instruction_set(before)


@pytest.fixture(
    params=["first to last thread", "last to first thread", pytest.param("gpu", marks=pytest.mark.gpu)]
)
def cuda_kernels(request):
    """Return a context manager that gives a device whose tensors the CUDA kernels take.

    Without a GPU that is the CPU, where the kernels are run thread by thread by their emulation, in two orders.
    """
    if request.param == "gpu":
        problem = native.device_info().cuda_problem
        if problem is not None:
            pytest.skip(problem)
        return lambda **_: contextlib.nullcontext(torch.device("cuda"))
    pytest.importorskip("recon._cuda_emulated", reason="built by `make dev` only")
    return functools.partial(emulated_cuda, request.param == "last to first thread")
