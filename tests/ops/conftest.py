"""What tests of kernels share."""

import contextlib
import functools

import pytest
import torch

from recon import _core
from recon.ops import native


PAIR_CAPACITY = 0
"""Room for the rasterizer's pairs in the emulation; 0 counts them first."""


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
        return lambda: contextlib.nullcontext(torch.device("cuda"))
    emulated = pytest.importorskip("recon._cuda_emulated", reason="built by `make dev` only")
    return functools.partial(_emulation, emulated, request.param == "last to first thread")


@contextlib.contextmanager
def _emulation(emulated, descending):
    def call(name, arguments):
        if name == "rasterize_forward":
            arguments = (*arguments, PAIR_CAPACITY)
        return getattr(emulated, name)(
            *arguments, 0, lambda size: torch.full((size,), 0xFF, dtype=torch.uint8)
        )

    emulated.set_descending(descending)
    before = native._call_core
    native._call_core = call
    try:
        yield torch.device("cpu")
    finally:
        native._call_core = before
