"""Damaged files never crash a reader, hang it or make it take memory; the benchmark runs a hundred thousand."""

import importlib.util
import sys
import tracemalloc
from pathlib import Path

import pytest

from recon.splats.formats import read_splats, write_splats

_SCRIPT = Path(__file__).parents[3] / "benchmarks" / "fuzz_formats.py"


@pytest.fixture(scope="module")
def fuzzer():
    spec = importlib.util.spec_from_file_location("fuzz_formats", _SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["fuzz_formats"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["ply", "spz", "splat"])
@pytest.mark.filterwarnings("error")
def test_damaged_files(fuzzer, name):
    report = fuzzer.fuzz(name, 1500, seed=1)
    assert not report.failures
    assert report.outcomes["read"] > 20 and report.outcomes["refused"] > 500


@pytest.mark.parametrize("suffix", [".ply", ".splat", ".spz"])
@pytest.mark.parametrize("degree", [0, 3])
def test_memory_follows_the_file(tmp_path, make_gaussians, suffix, degree):
    """The Gaussians themselves, the file's content, and no third copy."""
    gaussians = make_gaussians(50_000, degree)
    path = tmp_path / f"a{suffix}"
    write_splats(path, gaussians)
    result = sum(tensor.nbytes for tensor in read_splats(path).tensors().values())
    content = len(gaussians) * (20 + 45 * (degree == 3)) if suffix == ".spz" else 0
    tracemalloc.start()
    read_splats(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < result + path.stat().st_size + content + (2 << 20)
