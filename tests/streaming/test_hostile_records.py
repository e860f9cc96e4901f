"""Damaged records never crash the reader; the benchmark runs a hundred thousand."""

import importlib.util
import sys
from pathlib import Path

import pytest

_SCRIPT = Path(__file__).parents[2] / "benchmarks" / "fuzz_stream.py"


@pytest.mark.filterwarnings("error")
def test_damaged_records():
    spec = importlib.util.spec_from_file_location("fuzz_stream", _SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["fuzz_stream"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    report = module.fuzz(1500, seed=1)
    assert not report.failures
    assert report.outcomes["read"] > 50 and report.outcomes["refused"] > 500
