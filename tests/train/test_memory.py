"""The memory estimate that caps the number of Gaussians."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from recon.splats import Gaussians
from recon.train import TrainingView, memory
from recon.train.memory import available_memory, bytes_per_gaussian, gaussian_limit, training_memory

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "training_memory.py"


def gaussians(count: int, coefficients: int) -> Gaussians:
    return Gaussians(
        torch.zeros(count, 3),
        torch.zeros(count, 3),
        torch.ones(count, 4),
        torch.zeros(count),
        torch.zeros(count, coefficients, 3),
    )


def view(width: int, height: int) -> TrainingView:
    return TrainingView("a", torch.zeros(height, width, 3), torch.eye(4), torch.ones(4))


def test_a_wanted_cap_is_taken():
    assert gaussian_limit(1234, gaussians(10, 1), [view(8, 6)]) == 1234


def test_the_cap_fills_half_of_the_free_memory(monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: 1 << 30)
    start, views = gaussians(10, 4), [view(400, 300)] * 3
    limit = gaussian_limit(0, start, views)
    assert training_memory(start, limit, views) <= 1 << 29 < training_memory(start, limit + 1, views)


def test_the_start_always_fits(monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: 0)
    assert gaussian_limit(0, gaussians(10, 1), [view(400, 300)]) == 10


def test_more_colour_takes_more():
    assert bytes_per_gaussian(16) > bytes_per_gaussian(1)


def test_some_memory_is_available():
    assert available_memory() > 1 << 20


SLOW_CASES = [
    ("--case", (200_000, 400, 300, 1)),
    ("--case", (20_000, 1600, 1200, 1)),
    ("--coherent", (3, 60_000, 320, 240, 1, 1)),
    ("--coherent", (3, 60_000, 320, 240, 4, 4)),
]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc")
@pytest.mark.parametrize(("kind", "case"), SLOW_CASES)
def test_the_estimate_is_near_what_a_training_takes(kind, case):
    result = subprocess.run(
        [sys.executable, str(BENCHMARK), kind, *map(str, case)],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    row = json.loads(result.stdout)
    assert 0.5 < row["measured"] / row["estimated"] < 1.15, row
