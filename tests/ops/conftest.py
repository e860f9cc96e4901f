"""What tests of kernels share."""

import pytest
import torch

from recon import _core


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
