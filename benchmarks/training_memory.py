"""Measure the peak memory of trainings against the estimate of recon/train/memory.py.

    python benchmarks/training_memory.py

Each case runs in a process of its own: a few iterations of `splat`'s parts (colour loss, density control with a round
of growth, Adam, a checkpoint at the end) on three random pictures. Printed is what the process took at its peak beyond
what it held before the training was built, and the least-squares fit of bytes per Gaussian, parameter and pixel.
Then a few iterations of `coherent`, whose networks, flow and finer renderings take memory of their own.
"""

import argparse
import json
import platform
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np

CASES = (
    (20_000, 400, 300, 1),
    (200_000, 400, 300, 0),
    (200_000, 400, 300, 1),
    (200_000, 400, 300, 3),
    (600_000, 400, 300, 1),
    (600_000, 400, 300, 3),
    (20_000, 1600, 1200, 1),
    (200_000, 1600, 1200, 1),
    (600_000, 1600, 1200, 3),
)
"""Gaussians, width, height, harmonics' degree."""

COHERENT_CASES = (
    (3, 30_000, 160, 120, 4, 1),
    (3, 150_000, 504, 378, 4, 1),
    (3, 150_000, 504, 378, 1, 1),
    (3, 150_000, 504, 378, 4, 4),
    (9, 60_000, 240, 180, 4, 1),
)
"""Views, Gaussians, width, height, stride of the networks, finest rendering in multiples of the photos' size."""

VIEWS = 3
ITERATIONS = 4


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--case", nargs=4, type=int, help="measure one case in this process (used internally)"
    )
    parser.add_argument("--coherent", nargs=6, type=int, help="the same for a case of `coherent`")
    arguments = parser.parse_args()
    if arguments.case:
        print(json.dumps(measure(*arguments.case)))
        return
    if arguments.coherent:
        print(json.dumps(measure_coherent(*arguments.coherent)))
        return
    rows = [run_case("--case", case) for case in CASES]
    print(f"{date.today()}, {platform.machine()}, torch {rows[0]['torch']}, {VIEWS} views\n")
    print("| Gaussians | size | degree | measured MB | estimated MB | measured / estimated |")
    print("|---|---|---|---|---|---|")
    for (count, width, height, degree), row in zip(CASES, rows, strict=True):
        ratio = row["measured"] / row["estimated"]
        print(
            f"| {count:,} | {width}x{height} | {degree} | {row['measured'] / 1e6:.0f} | "
            f"{row['estimated'] / 1e6:.0f} | {ratio:.2f} |"
        )
    print(fit(rows))
    print(
        "\n| views | Gaussians | size | stride | finest | measured MB | estimated MB | measured / estimated |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for case in COHERENT_CASES:
        row = run_case("--coherent", case)
        views, count, width, height, stride, samples = case
        print(
            f"| {views} | {count:,} | {width}x{height} | {stride} | {samples} | {row['measured'] / 1e6:.0f} | "
            f"{row['estimated'] / 1e6:.0f} | {row['measured'] / row['estimated']:.2f} |",
            flush=True,
        )


def run_case(kind: str, case: Sequence[int]) -> dict:
    command = [sys.executable, __file__, kind, *map(str, case)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def fit(rows: list[dict]) -> str:
    """Fit measured = fixed + Gaussians * (a * parameters + b) + pixels * c, each row weighed by its size."""
    table = np.array([[1.0, r["gaussians"] * r["parameters"], r["gaussians"], r["pixels"]] for r in rows])
    peak = np.array([r["measured"] for r in rows])
    (fixed, per_parameter, per_gaussian, per_pixel), *_ = np.linalg.lstsq(
        table / peak[:, None], np.ones(len(rows)), rcond=None
    )
    return (
        f"\nfit: {fixed / 1e6:.0f} MB + Gaussians * ({per_parameter / 4:.1f} copies of its parameters + "
        f"{per_gaussian / 4:.0f} floats) + pixels of one picture * {per_pixel / 4:.0f} floats"
    )


def measure(count: int, width: int, height: int, degree: int) -> dict:
    """Train for a few iterations in this process and return the bytes it took at its peak beyond the start."""
    import torch

    from recon.losses import PhotometricTerm
    from recon.splats import Gaussians
    from recon.train import (
        LearningRates,
        OptimizedGaussians,
        Trainer,
        TrainingView,
        TrainSettings,
        ViewSampler,
    )
    from recon.train.checkpoint import save_checkpoint
    from recon.train.memory import training_memory
    from recon.train.rules import DensityControl, DensitySettings

    def train(count: int, width: int, height: int, folder: Path) -> tuple[int, int]:
        generator = torch.Generator().manual_seed(0)
        start = Gaussians(
            means=torch.rand(count, 3, generator=generator) - torch.tensor([0.5, 0.5, -2.0]),
            log_scales=torch.full((count, 3), 0.004).log(),
            quaternions=torch.randn(count, 4, generator=generator),
            opacity_logits=torch.randn(count, generator=generator),
            sh=torch.randn(count, (degree + 1) ** 2, 3, generator=generator) * 0.1,
        )
        intrinsics = torch.tensor([1.2 * width, 1.2 * width, width / 2, height / 2])
        views = [
            TrainingView(str(i), torch.rand(height, width, 3, generator=generator), torch.eye(4), intrinsics)
            for i in range(VIEWS)
        ]
        limit = count + count // 20
        gaussians = OptimizedGaussians(start, LearningRates(), 1e-3)
        density = DensitySettings(start=0.0, stop=1.0, every=2, gradient=0.0, max_gaussians=limit)
        trainer = Trainer(
            gaussians,
            ViewSampler(views, generator),
            TrainSettings(iterations=ITERATIONS, sh_degree=degree, sh_every=1, checkpoint_every=ITERATIONS),
            terms=[PhotometricTerm()],
            rules=[DensityControl(density, gaussians, limit)],
            generator=generator,
            save_checkpoint=lambda trainer: save_checkpoint(trainer, folder, "benchmark"),
        )
        trainer.run()
        return len(gaussians), training_memory(start, len(gaussians), views)

    with tempfile.TemporaryDirectory() as folder:
        train(100, 64, 48, Path(folder))  # loads what is loaded once
        before = _resident()
        final, estimated = train(count, width, height, Path(folder))
    peak = _most_resident()
    return {
        "gaussians": final,
        "parameters": 11 + 3 * (degree + 1) ** 2,
        "pixels": width * height,
        "measured": peak - before,
        "estimated": estimated,
        "torch": torch.__version__,
    }


def measure_coherent(views: int, count: int, width: int, height: int, stride: int, samples: int) -> dict:
    """Train `coherent` on a drawn room for a few iterations and return the bytes it took at its peak."""
    import torch

    from recon.coherence import DecoderSettings
    from recon.methods import coherent
    from recon.methods.inputs import Inputs
    from recon.stereo import DepthMap
    from recon.synth.raycast import raycast_scene
    from recon.train import TrainSettings
    from recon.train.multisampling import Multisampling

    class Finest(Multisampling):
        def samples(self, progress: float, generator: torch.Generator) -> int:
            return self.highest

    def room(width: int, height: int) -> Inputs:
        drawn = raycast_scene("box_room", views=views, size=(width, height), supersampling=1)
        depths = [drawn.depths[view.name] for view in drawn.scene.train_views]
        assert drawn.scene.bounds is not None
        nothing = np.zeros((height, width, 3), np.float32)
        stereo = [DepthMap(depth, np.ones_like(depth), nothing, depth == 0) for depth in depths]
        return Inputs(drawn.scene.train_views, stereo, None, *drawn.scene.bounds)

    def train(inputs: Inputs, count: int) -> tuple[int, coherent.CoherentConfig]:
        config = coherent.CoherentConfig(
            count=count,
            geometry=DecoderSettings(stride=stride),
            opacity=DecoderSettings(stride=stride),
            train=TrainSettings(iterations=ITERATIONS, sh_degree=0),
            multisampling=Finest(highest=samples),
        )
        trainer = coherent.compose(inputs, config, 0, torch.device("cpu"))
        trainer.run()
        return len(trainer.gaussians), config

    from recon.train.memory import training_bytes

    train(room(64, 48), 3000)  # loads what is loaded once
    inputs = room(width, height)
    [view.image for view in inputs.views]
    before = _resident()
    final, config = train(inputs, count)
    pixels = [width * height] * views
    return {
        "gaussians": final,
        "pixels": width * height,
        "measured": _most_resident() - before,
        "estimated": training_bytes(final, 1, pixels) + config.extra_bytes(pixels),
        "torch": torch.__version__,
    }


def _most_resident() -> int:
    """Return the most bytes this process ever had; getrusage would count what the process that started it had."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.split("VmHWM:")[1].split()[0])


def _resident() -> int:
    """Return the bytes of memory that this process holds now (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


if __name__ == "__main__":
    main()
