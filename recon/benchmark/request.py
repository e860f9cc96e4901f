"""What a person asks of a benchmark."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

ExecutorName = Literal["local", "ray"]


@dataclass(frozen=True)
class Request:
    """The command line of `recon benchmark PROTOCOL`; see recon/cli/benchmark.py for what each means."""

    protocol: str
    data: Path
    output: Path
    methods: tuple[str, ...] = ("quality",)
    preset: str = "standard"
    views: tuple[int, ...] = ()
    seeds: int = 1
    scenes: tuple[str, ...] = ()
    part: Literal["development", "test"] | None = None
    downscale: float | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"
    settings: tuple[str, ...] = ()
    executor: ExecutorName = "local"
    workers: int | None = None
