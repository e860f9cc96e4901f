"""Time a training iteration of `quality` by stage, against the rasterizer's own forward and backward.

    python benchmarks/iteration.py [--count 100000] [--size 500x378] [--runs 60] [--threads 2] [--json FILE]

The scene is made here and looks like what stereo hands over: a wavy surface of small flat Gaussians in front of a
coarse backdrop (one in twenty), seen by three cameras that look at random smooth pictures. Spherical harmonics of
degree 1 are in use from the first iteration, and all rules of `quality` with their defaults.

In each run one iteration of the trainer and one forward and backward of the rasterizer alone, with the tensors, camera
and outputs that the iteration has just used, follow each other; the table gives the medians. The bar is
iteration / rasterizer <= 1.5.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent))

from rasterizer import processor

import recon
from recon import ops
from recon.methods.quality import QualityConfig
from recon.splats import Gaussians
from recon.splats.gaussians import SH_C0
from recon.train import OptimizedGaussians, Trainer, TrainingView, TrainSettings, ViewSampler
from recon.train.rules import DensityControl, GuidedDropout, OpacityDecay

STAGES = ("view", "dropout", "render", "loss", "backward", "optimiser", "rules")
FOCAL_PER_WIDTH = 0.9
SURFACE_DEPTH, BACKDROP_DEPTH = 2.0, 3.0
SURFACE_PIXELS = 0.95
"""Standard deviation of a surface Gaussian in pixels: stereo points of three views thinned to a third."""
BACKDROP_PIXELS = 6.0
"""Of a backdrop Gaussian: half a cell of 12 pixels."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--size", default="500x378")
    parser.add_argument("--runs", type=int, default=60)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    ops.set_threads(arguments.threads)
    torch.set_num_threads(arguments.threads)
    width, height = map(int, arguments.size.split("x"))

    clock = StageClock()
    trainer = make_trainer(arguments.count, width, height)
    clock.watch(trainer)
    iterations, rasterizer = [], []
    for run in range(arguments.runs + 5):
        call = clock.run(trainer)
        seconds = rasterizer_alone(call)
        if run >= 5:  # the first ones meet memory that is not mapped yet
            iterations.append(clock.stages())
            rasterizer.append(seconds)

    print(
        f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC, recon {recon.__version__}, torch {torch.__version__}"
    )
    print(f"{processor()}, {arguments.threads} threads, {ops.device_info().instruction_set}")
    print("command:", " ".join(["python", *sys.argv]))
    print(f"{arguments.count} Gaussians, {arguments.size}, medians of {arguments.runs} runs\n")
    median = {stage: 1e3 * statistics.median(row[stage] for row in iterations) for stage in STAGES}
    whole = 1e3 * statistics.median(sum(row.values()) for row in iterations)
    alone = 1e3 * statistics.median(rasterizer)
    for stage, milliseconds in median.items():
        print(f"{stage:>12} {milliseconds:7.2f}ms")
    print(f"{'iteration':>12} {whole:7.2f}ms")
    print(f"{'rasterizer':>12} {alone:7.2f}ms  forward and backward alone")
    print(f"{'ratio':>12} {whole / alone:7.2f}    (bar 1.5)")
    if arguments.json:
        row = {"n": arguments.count, "size": arguments.size, "stages_ms": median, "iteration_ms": whole,
               "rasterizer_ms": alone, "ratio": whole / alone, "runs": arguments.runs}  # fmt: skip
        arguments.json.write_text(json.dumps([row], indent=1) + "\n")


def make_trainer(count: int, width: int, height: int) -> Trainer:
    """Put `quality` together on the scene made here; see recon/methods/quality.py."""
    generator = torch.Generator().manual_seed(0)
    config = QualityConfig()
    pixel_size = SURFACE_DEPTH / (FOCAL_PER_WIDTH * width)
    gaussians = OptimizedGaussians(scene(count, width, height, generator), config.train.rates, pixel_size)
    photos = [view(index, width, height, generator) for index in range(3)]
    return Trainer(
        gaussians,
        ViewSampler(photos, generator),
        TrainSettings(iterations=1000, sh_degree=1, sh_every=1, rates=config.train.rates),
        terms=[config.photometric],
        rules=[
            DensityControl(config.density, gaussians, max_gaussians=count),
            OpacityDecay(config.opacity_left),
        ],
        dropout=GuidedDropout(config.dropout),
        generator=generator,
    )


def scene(count: int, width: int, height: int, generator: torch.Generator) -> Gaussians:
    """A wavy surface over a little more than the picture, and a backdrop behind it."""
    slopes = (torch.rand(count, 2, generator=generator) - 0.5) * 1.15 / FOCAL_PER_WIDTH
    slopes[:, 1] *= height / width
    behind = torch.arange(count) % 20 == 0
    depth = SURFACE_DEPTH + 0.2 * torch.sin(5 * slopes[:, 0]) * torch.cos(4 * slopes[:, 1])
    depth = torch.where(behind, torch.full_like(depth, BACKDROP_DEPTH), depth)
    sigma = depth / (FOCAL_PER_WIDTH * width) * torch.where(behind, BACKDROP_PIXELS, SURFACE_PIXELS)
    return Gaussians(
        means=torch.cat([slopes * depth[:, None], depth[:, None]], 1),
        log_scales=(sigma[:, None] * torch.tensor([1.0, 1.0, 0.2])).log(),
        quaternions=torch.nn.functional.normalize(
            torch.tensor([1.0, 0, 0, 0]) + 0.2 * torch.randn(count, 4, generator=generator)
        ),
        opacity_logits=torch.full((count,), math.log(0.6 / 0.4)),
        sh=torch.cat(
            [
                (torch.rand(count, 1, 3, generator=generator) - 0.5) / SH_C0,
                torch.zeros(count, 3, 3),
            ],
            1,
        ),
    )


def view(index: int, width: int, height: int, generator: torch.Generator) -> TrainingView:
    """One of three cameras side by side, and a smooth random picture."""
    coarse = torch.rand(1, 3, 12, 16, generator=generator)
    picture = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic")[0].clamp(0, 1)
    pose = torch.eye(4)
    pose[0, 3] = 0.08 * (index - 1)
    focal = FOCAL_PER_WIDTH * width
    return TrainingView(
        name=f"view {index}",
        image=picture.permute(1, 2, 0).contiguous(),
        world_to_camera=pose,
        intrinsics=torch.tensor([focal, focal, width / 2, height / 2]),
    )


class StageClock:
    """Notes when the trainer's parts begin and end; what lies between is the other stages'."""

    def __init__(self) -> None:
        self._marks: dict[str, float] = {}
        self._call: tuple[tuple, dict[str, Any]] = ((), {})

    def watch(self, trainer: Trainer) -> None:
        """Put a clock around each part of the trainer."""
        trainer.sampler.next = self._timed("view", trainer.sampler.next)  # type: ignore[method-assign]
        assert trainer.dropout is not None
        trainer.dropout.factors = self._timed("dropout", trainer.dropout.factors)  # type: ignore[method-assign]
        trainer.terms = [self._timed("loss", term) for term in trainer.terms]  # type: ignore[list-item]
        trainer.gaussians.step = self._timed("optimiser", trainer.gaussians.step)  # type: ignore[method-assign]

    def _timed(self, stage: str, function: Callable) -> Callable:
        def timed(*arguments: Any, **options: Any) -> Any:
            self._marks[f"{stage} begins"] = time.perf_counter()
            result = function(*arguments, **options)
            self._marks[f"{stage} ends"] = time.perf_counter()
            return result

        timed.outputs = getattr(function, "outputs", ())  # type: ignore[attr-defined]
        return timed

    def run(self, trainer: Trainer) -> tuple[tuple, dict[str, Any]]:
        """Do one iteration; return the arguments of its call of the rasterizer."""
        rasterize = ops.rasterize

        def noting(*arguments: Any, **options: Any) -> ops.Rasterization:
            self._call = arguments, options
            return rasterize(*arguments, **options)

        ops.rasterize = noting  # type: ignore[assignment]
        try:
            self._marks["start"] = time.perf_counter()
            trainer.step()
            self._marks["end"] = time.perf_counter()
        finally:
            ops.rasterize = rasterize  # type: ignore[assignment]
        return self._call

    def stages(self) -> dict[str, float]:
        """Return the last iteration's seconds by stage."""
        m = self._marks
        dropout = m["dropout ends"] - m["dropout begins"]
        return {
            "view": m["view ends"] - m["start"],
            "dropout": dropout,
            "render": m["loss begins"] - m["view ends"] - dropout,
            "loss": m["loss ends"] - m["loss begins"],
            "backward": m["optimiser begins"] - m["loss ends"],
            "optimiser": m["optimiser ends"] - m["optimiser begins"],
            "rules": m["end"] - m["optimiser ends"],
        }


def rasterizer_alone(call: tuple[tuple, dict[str, Any]]) -> float:
    """Return the seconds of a forward and backward with the same tensors, as leaves where they had a gradient."""

    def leaf(value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        return value.detach().requires_grad_(value.requires_grad)

    arguments, options = call
    arguments = tuple(leaf(value) for value in arguments)
    options = {name: leaf(value) for name, value in options.items()}
    upstream = torch.full((arguments[8], arguments[7], 3), 1e-6)
    start = time.perf_counter()
    ops.rasterize(*arguments, **options).color.backward(upstream)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
