"""Time the Gaussian rasterizer against its torch twin, installed peers, and the machine's limits.

    python benchmarks/rasterizer.py [--cases 20000x400x300 ...] [--runs 30] [--threads 2] [--twin] [--json FILE]

Scenes: see rasterizer_scene.py; loss = sum(image * upstream), gradients of means, quaternions, scales, opacities and
colours. Times are medians of wall time over `--runs` runs after three warm-up runs; use a quiet machine. Every row is
made in a process of its own; its memory is the peak of the resident set from before the first run, with torch loaded
and the scene made, to the last.

The bound is what the machine needs for the scene's own work at its measured peaks, whichever implementation runs:

    bound = lanes * 118 / P  +  N * (14 000 / P + 500 / B)  +  pixels * 44 / B

* P: fused multiply-add peak of `--threads` threads, flop/s; B: copy bandwidth, bytes/s (read plus written). Both are
  the best of several measurements made between the runs of the same row, in the same process.
* lanes: pixels that rows of eight evaluate inside the Gaussians' bounds {alpha >= 1/255}, counted from the projected
  scene. One lane takes 30 flop forward and 75 backward; at three vector instructions a cycle that is
  29.5 cycles for eight lanes on a core that does 32 flop a cycle, or 118 flop-equivalents a lane.
* N: projection, depth sort, binning, the sum of the pairs' gradients and the chain rule take 440 core cycles per
  Gaussian (14 000 flop-equivalents at 32 flop a cycle), and move about 500 bytes: 14 floats of parameters read twice,
  as many of gradients written, a 64-byte record written and read, and about 2.4 tile pairs of 12 to 64 bytes.
* pixels: the forward writes colour and alpha (16 bytes), the backward reads them and the upstream gradient (28).

The bar is measured / bound <= 2.1.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent))

from gsplat_torch import gsplat_torch_render
from rasterizer_scene import BenchmarkScene, benchmark_scene

import recon
from recon import ops
from recon.ops.reference.rasterize import rasterize as twin

CASES = ("20000x400x300", "20000x800x600", "100000x400x300", "100000x800x600")
FLOP_PER_LANE = 118
FLOP_PER_GAUSSIAN = 14_000
BYTES_PER_GAUSSIAN = 500
BYTES_PER_PIXEL = 44
BACKENDS = ("recon", "recon cuda", "gsplat cuda", "gsplat torch", "torch twin")
SLOW = {"gsplat torch": 5, "torch twin": 3}
"""Backends that take seconds a run, and how often they are run at most."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", nargs="+", default=CASES, help="COUNTxWIDTHxHEIGHT")
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--twin", action="store_true", help="time the torch twin too (seconds per run)")
    parser.add_argument("--gsplat", action="store_true", help="time gsplat's torch path too, where installed")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only", choices=BACKENDS, help="measure one row here instead of in child processes")
    arguments = parser.parse_args()
    if arguments.only:
        row = measure_row(arguments.only, arguments.cases[0], arguments.runs, arguments.threads)
        arguments.json.write_text(json.dumps(row))
        return
    ops.set_threads(arguments.threads)
    print(
        f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC, recon {recon.__version__}, torch {torch.__version__}"
    )
    print(f"{processor()}, {arguments.threads} threads, {ops.device_info().instruction_set}")
    print("command:", " ".join(["python", *sys.argv]))
    print(f"\n{'case':>16} {'backend':>12} {'forward':>9} {'f + b':>9} {'bound':>8} {'/ bound':>8} {'ratio':>8} "
          f"{'pairs/s':>9} {'memory':>8} {'peak':>9} {'copy':>8}")  # fmt: skip
    rows = []
    for name in arguments.cases:
        own = None
        for backend in wanted_backends(arguments):
            row = row_of_child(backend, name, arguments)
            if row is None:
                print(f"{name:>16} {backend:>12} not available here")
                continue
            both = row["forward_backward_ms"]
            own = own or both
            print(f"{name:>16} {backend:>12} {row['forward_ms']:7.2f}ms {both:7.2f}ms {row['bound_ms']:6.2f}ms "
                  f"{both / row['bound_ms']:8.2f} {both / own:7.1f}x {row['pairs'] / both * 1e3:9.2e} "
                  f"{row['peak_memory_mb']:6.0f}MB {row['fma_gflops']:5.0f}GF/s "
                  f"{row['copy_gbs']:4.0f}GB/s")  # fmt: skip
            rows.append(row)
    print(
        "\nratio: time over recon's; pairs/s: Gaussian-pixel pairs with alpha >= 1/255; memory: the backend's own"
    )
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n")


Step = Callable[[], tuple[float, float]]


def wanted_backends(arguments: argparse.Namespace) -> list[str]:
    wanted = ["recon"]
    if torch.cuda.is_available() and ops.device_info().cuda:
        wanted += ["recon cuda", "gsplat cuda"]
    return wanted + ["gsplat torch"] * arguments.gsplat + ["torch twin"] * arguments.twin


def row_of_child(backend: str, case: str, arguments: argparse.Namespace) -> dict | None:
    """Measure one row in a process of its own, so that no backend meets the memory of another."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "row.json"
        command = [sys.executable, __file__, "--only", backend, "--cases", case, "--json", str(result),
                   "--runs", str(arguments.runs), "--threads", str(arguments.threads)]  # fmt: skip
        subprocess.run(command, check=True)
        return json.loads(result.read_text())


def measure_row(backend: str, case: str, runs: int, threads: int) -> dict | None:
    """Return the row of one backend and case; None where the backend is not installed."""
    ops.set_threads(threads)
    torch.set_num_threads(threads)
    count, size = case.split("x", 1)
    scene = benchmark_scene(int(count), size)
    lanes, pairs = workload(scene)
    copy_bandwidth()
    memory = OwnMemory()
    step = make_step(backend, scene)
    if step is None:
        return None
    runs = min(runs, SLOW.get(backend, runs))
    for _ in range(min(3, runs)):
        step()
    times, peaks = [], []
    for run in range(runs):
        if run % 5 == 0:
            peaks.append(fma_peak())
        times.append(step())
    memory_mb = memory.peak_mb()
    peak, bandwidth = max(peaks), copy_bandwidth()
    bound = (
        lanes * FLOP_PER_LANE / peak
        + int(count) * (FLOP_PER_GAUSSIAN / peak + BYTES_PER_GAUSSIAN / bandwidth)
        + scene.width * scene.height * BYTES_PER_PIXEL / bandwidth
    )
    forward, both = zip(*times, strict=True)
    return {
        "backend": backend,
        "n": int(count),
        "size": size,
        "forward_ms": statistics.median(forward),
        "forward_backward_ms": statistics.median(both),
        "peak_memory_mb": memory_mb,
        "bound_ms": 1e3 * bound,
        "runs": runs,
        "pairs": pairs,
        "fma_gflops": peak / 1e9,
        "copy_gbs": bandwidth / 1e9,
    }


class OwnMemory:
    """How far the resident set rises above where it is now; on a GPU, torch's own peak."""

    def __init__(self) -> None:
        self._resettable = False
        try:
            Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew from here
            self._resettable = True
        except OSError:
            pass
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        self._start = self._resident("VmRSS" if self._resettable else "VmHWM")

    def _resident(self, field: str) -> float:
        try:
            found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
        except OSError:
            found = None
        return int(found[1]) / 1024 if found else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    def peak_mb(self) -> float:
        if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
            return torch.cuda.max_memory_allocated() / 2**20
        return self._resident("VmHWM") - self._start


def make_step(backend: str, scene: BenchmarkScene) -> Step | None:
    """Return a function that runs one step of the backend; None where it is not installed."""
    if backend == "recon":
        return rasterizer_step(scene, ops.rasterize, "cpu")
    if backend == "recon cuda":
        return rasterizer_step(scene, ops.rasterize, "cuda")
    if backend == "gsplat cuda":
        return gsplat_step(scene)
    if backend == "torch twin":
        return rasterizer_step(scene, twin, "cpu")
    found = gsplat_torch_render(scene)
    return None if found is None else timed_step(found[0], scene.upstream, found[1])


def rasterizer_step(scene: BenchmarkScene, function: Callable, device: str) -> Step:
    parameters = {
        name: tensor.clone().to(device).requires_grad_() for name, tensor in scene.parameters.items()
    }
    colors = parameters.pop("colors")
    pose, intrinsics = scene.world_to_camera.to(device), scene.intrinsics.to(device)
    upstream = scene.upstream.to(device)

    def render() -> torch.Tensor:
        return function(
            *parameters.values(), None, pose, intrinsics, scene.width, scene.height, colors=colors
        ).color

    return timed_step(render, upstream, [*parameters.values(), colors])


def gsplat_step(scene: BenchmarkScene) -> Step | None:
    """gsplat's CUDA rasterization, where it is installed."""
    try:
        from gsplat import rasterization
    except ImportError:
        return None
    parameters = {name: tensor.clone().cuda().requires_grad_() for name, tensor in scene.parameters.items()}
    fx, fy, cx, cy = scene.intrinsics.tolist()
    matrix = torch.tensor([[[fx, 0, cx], [0, fy, cy], [0, 0, 1]]], device="cuda")
    pose = scene.world_to_camera[None].cuda()

    def render() -> torch.Tensor:
        return rasterization(*parameters.values(), pose, matrix, scene.width, scene.height, packed=False)[0][
            0
        ]

    return timed_step(render, scene.upstream.cuda(), list(parameters.values()))


def timed_step(
    render: Callable[[], torch.Tensor], upstream: torch.Tensor, leaves: list[torch.Tensor]
) -> Step:
    def now() -> float:
        if upstream.is_cuda:
            torch.cuda.synchronize()
        return time.perf_counter()

    def step() -> tuple[float, float]:
        for leaf in leaves:
            leaf.grad = None
        start = now()
        image = render()
        middle = now()
        image.backward(upstream)
        return 1e3 * (middle - start), 1e3 * (now() - start)

    return step


def workload(scene: BenchmarkScene) -> tuple[int, int]:
    """Count what the scene asks for: lanes in rows of eight, and Gaussian-pixel pairs that are drawn.

    Saturated pixels are not taken off: the benchmark's scenes have few.
    """
    w, x, y, z = scene.quaternions.double().numpy().T
    rotation = np.stack(
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
         2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
         2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], -1,
    ).reshape(-1, 3, 3)  # fmt: skip
    axes = rotation * scene.scales.double().numpy()[:, None, :]
    point = scene.means.double().numpy() + scene.world_to_camera[:3, 3].double().numpy()
    fx, fy, cx, cy = scene.intrinsics.tolist()
    slope = point[:, :2] / point[:, 2:]
    rows = (
        np.array([fx, fy])[:, None] * (axes[:, :2] - slope[..., None] * axes[:, 2:]) / point[:, 2, None, None]
    )
    covariance = rows @ rows.transpose(0, 2, 1) + 0.3 * np.eye(2)
    center = slope * [fx, fy] + [cx, cy]
    level = 2 * np.log(scene.opacities.double().numpy() * 255)
    extent = np.sqrt(level[:, None] * np.stack([covariance[:, 0, 0], covariance[:, 1, 1]], -1))
    size = np.array([scene.width, scene.height])
    first = np.clip(np.ceil(center - extent - 0.5), 0, size).astype(int)
    last = np.clip(np.floor(center + extent - 0.5), -1, size - 1).astype(int)
    heights = np.maximum(last[:, 1] - first[:, 1] + 1, 0)
    octets = np.maximum(last[:, 0] // 8 - first[:, 0] // 8 + 1, 0)
    lanes = int((8 * octets * heights).sum())
    area = np.pi * level * np.sqrt(np.linalg.det(covariance))
    inside = np.prod(np.maximum(last - first + 1, 0) / (2 * extent), axis=1).clip(0, 1)
    return lanes, int((area * inside).sum())


def fma_peak() -> float:
    """Measured fused multiply-add peak of the kernels' threads, flop/s: the best of several runs of register chains."""
    core = recon.ops.native.core()
    return max(core.fma_flops_per_second() for _ in range(3))


def copy_bandwidth() -> float:
    """Bytes read plus written per second by the best of several copies of 128 MiB."""
    source = torch.zeros(1 << 25)
    target = torch.empty_like(source)
    times = []
    for _ in range(7):
        start = time.perf_counter()
        target.copy_(source)
        times.append(time.perf_counter() - start)
    return 2 * source.numel() * 4 / min(times)


def processor() -> str:
    try:
        text = subprocess.run(["lscpu"], capture_output=True, text=True, check=True).stdout
        return next(
            line.split(":", 1)[1].strip() for line in text.splitlines() if line.startswith("Model name")
        )
    except (OSError, subprocess.CalledProcessError, StopIteration):
        return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
