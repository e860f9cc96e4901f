"""One module per protocol; each states a `BENCHMARK`. A module in this folder is a protocol of `recon benchmark`."""

from __future__ import annotations

import pkgutil
from importlib import import_module

from recon.benchmark.benchmark import Benchmark
from recon.errors import ReconError


def benchmark_names() -> tuple[str, ...]:
    """Return the protocols that there are modules for, in name order."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


def load_benchmark(name: str) -> Benchmark:
    """Return what a protocol's module states.

    Raises:
        ReconError: when there is no such protocol.
    """
    if name not in benchmark_names():
        raise ReconError(f"there is no benchmark {name!r}; there are {', '.join(benchmark_names())}")
    return import_module(f"{__name__}.{name}").BENCHMARK
