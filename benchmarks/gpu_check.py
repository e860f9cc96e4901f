"""Check and time the CUDA kernels on a machine with a GPU.

    make gpu-check

Builds the kernels for the GPU that is there, runs every CUDA op and the CPU op on the same cases and compares values
and gradients, runs the tests marked `gpu`, times the ops and whole training steps, and writes a dated JSON and Markdown
file to benchmarks/results/. Exits with 1, saying why, when there is no GPU or a comparison fails.

    python benchmarks/gpu_check.py --emulated    # only the comparisons, kernels run thread by thread on the CPU
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"


@dataclass(frozen=True)
class Comparison:
    """How far one result of a CUDA op is from the CPU op's.

    Attributes:
        op: the op and its case.
        quantity: which output or gradient.
        relative_error: norm of the difference over the norm of the CPU's.
        cosine: between the two, as vectors.
        bias: mean difference over the mean magnitude.
        passed: whether relative_error is within `limit` and the cosine above 1 - limit.
    """

    op: str
    quantity: str
    relative_error: float
    cosine: float
    bias: float
    limit: float
    passed: bool


@dataclass(frozen=True)
class Timing:
    """Milliseconds of one piece of work on the GPU: median and minimum over `runs`."""

    name: str
    median_ms: float
    minimum_ms: float
    runs: int
    bar_ms: float | None = None


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--no-build", action="store_true", help="use the kernels that are already built")
    parser.add_argument("--no-tests", action="store_true", help="do not run the tests marked gpu")
    parser.add_argument("--emulated", action="store_true", help="compare on the CPU emulation; no timings")
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT))

    if options.emulated:
        comparisons = compare_all(_emulation)
        print(_comparison_table(comparisons))
        return int(not all(comparison.passed for comparison in comparisons))

    problem = missing_gpu(build=not options.no_build)
    if problem is not None:
        print(f"gpu-check: {problem}", file=sys.stderr)
        return 1
    if not options.no_build:
        build()
    import torch

    comparisons = compare_all(lambda: contextlib.nullcontext(torch.device("cuda")))
    tests = None if options.no_tests else run_gpu_tests()
    timings = time_all()
    report = {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": " ".join(["python", *sys.argv]),
        "hardware": hardware(),
        "comparisons": [asdict(comparison) for comparison in comparisons],
        "gpu_tests_passed": tests,
        "timings": [asdict(timing) for timing in timings],
    }
    passed = all(comparison.passed for comparison in comparisons) and tests is not False
    path = write_report(report, comparisons, timings)
    print(f"gpu-check: {'all comparisons pass' if passed else 'FAILED'}; written to {path}")
    return 0 if passed else 1


def missing_gpu(build: bool) -> str | None:
    """Say in one sentence why the check cannot run here, or return None."""
    if importlib.util.find_spec("torch") is None:
        return "torch is not installed for this Python; install it with CUDA support and run again."
    import torch

    if not torch.cuda.is_available():
        return "this machine has no CUDA device that torch can use, so there is nothing to check."
    if build and shutil.which(os.environ.get("CUDACXX", "nvcc")) is None:
        return "nvcc was not found, so the kernels cannot be built; install the CUDA toolkit or set CUDACXX."
    return None


def build() -> None:
    """Build the kernels in place for the GPU of this machine."""
    import torch

    major, minor = torch.cuda.get_device_capability()
    folder = ROOT / "build" / "gpu"
    configure = ["cmake", "-S", str(ROOT), "-B", str(folder), "-DRECON_CUDA=ON"]
    configure += [f"-DRECON_CUDA_ARCHITECTURES={major}{minor}", f"-DPython_EXECUTABLE={sys.executable}"]
    if shutil.which("ninja"):
        configure += ["-G", "Ninja"]
    subprocess.run(configure, check=True)
    subprocess.run(["cmake", "--build", str(folder), "--parallel"], check=True)
    subprocess.run(["cmake", "--install", str(folder), "--prefix", str(ROOT)], check=True)


def run_gpu_tests() -> bool:
    """Run the tests marked gpu; they must not all be skipped."""
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-q", str(ROOT / "tests" / "ops")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    print(done.stdout[-2000:])
    return done.returncode == 0 and " passed" in done.stdout and " skipped" not in done.stdout


def hardware() -> dict[str, str]:
    """Return what the numbers were measured on."""
    import torch

    properties = torch.cuda.get_device_properties(0)
    return {
        "gpu": properties.name,
        "multiprocessors": str(properties.multi_processor_count),
        "memory_gib": f"{properties.total_memory / 2**30:.0f}",
        "cpu": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


# Comparisons


def compare_all(cuda: Callable) -> list[Comparison]:
    """Run every op on the CPU and in the context that `cuda` makes."""
    return [
        *compare_l1_ssim(cuda),
        *compare_adam(cuda),
        *compare_nearest_neighbors(cuda),
        *compare_rasterize(cuda),
        *compare_stereo(cuda),
    ]


def compare_l1_ssim(cuda: Callable) -> list[Comparison]:
    import torch

    from recon import ops

    generator = torch.Generator().manual_seed(0)
    image = torch.rand(67, 91, 3, generator=generator)
    target = (image + 0.1 * torch.randn(image.shape, generator=generator)).clamp(0, 1)
    mask = torch.rand(67, 91, generator=generator)

    def run(device, weights):
        x = image.to(device).clone().requires_grad_()
        l1, ssim = ops.l1_ssim(x, target.to(device), None if weights is None else weights.to(device))
        (0.8 * l1 - 0.2 * ssim).backward()
        return {"l1": l1, "ssim": ssim, "d image": x.grad}

    return [
        *_compare("l1_ssim", lambda device: run(device, None), cuda, 1e-5),
        *_compare("l1_ssim, masked", lambda device: run(device, mask), cuda, 1e-5),
    ]


def compare_adam(cuda: Callable) -> list[Comparison]:
    import torch

    from recon import ops

    generator = torch.Generator().manual_seed(1)
    start = [torch.randn(1001, 7, generator=generator) for _ in range(3)]
    start.append(torch.rand(1001, 7, generator=generator))
    visible = torch.rand(1001, generator=generator) < 0.5

    def run(device, sparse):
        arrays = [array.to(device).clone() for array in start]
        chosen = visible.to(device) if sparse else None
        ops.adam_step(*arrays, step=5, learning_rate=0.02, visible=chosen)
        return dict(zip(("parameter", "gradient", "first moment", "second moment"), arrays, strict=True))

    return [
        *_compare("adam_step", lambda device: run(device, False), cuda, 1e-6),
        *_compare("adam_step, sparse", lambda device: run(device, True), cuda, 1e-6),
    ]


def compare_nearest_neighbors(cuda: Callable) -> list[Comparison]:
    import torch

    from recon import ops

    generator = torch.Generator().manual_seed(2)
    points = torch.rand(3000, 3, generator=generator) ** 3
    return _compare(
        "nearest_neighbors",
        lambda device: {"distances": ops.nearest_neighbors(points.to(device), 5)[0]},
        cuda,
        1e-6,
    )


def compare_rasterize(cuda: Callable) -> list[Comparison]:
    comparisons = []
    for name, settings in {
        "plain": {},
        "antialiased": {"antialiased": True},
        "absolute gradients": {"absolute_gradients": True},
        "degree 1": {"sh_degree": 1},
    }.items():
        run = _rasterize_case(400, 97, 66, settings)
        comparisons += _compare(f"rasterize, {name}", run, cuda, 2e-4)
    return comparisons


def _rasterize_case(count: int, width: int, height: int, settings: dict) -> Callable:
    import torch

    from recon import ops

    generator = torch.Generator().manual_seed(3)
    means = torch.rand(count, 3, generator=generator) * 2 - 1
    means[:, 2] += 3
    pose = torch.eye(4)
    pose[:3, 3] = torch.tensor([0.1, -0.05, 0.2])
    leaves = {
        "means": means,
        "quaternions": torch.randn(count, 4, generator=generator),
        "scales": torch.exp(torch.rand(count, 3, generator=generator) * 2.5 - 4.5),
        "opacities": torch.rand(count, generator=generator) * 0.98 + 0.01,
        "sh": 0.3 * torch.randn(count, 16, 3, generator=generator),
        "world_to_camera": pose,
        "intrinsics": torch.tensor([0.9 * width, 0.92 * width, width / 2 + 1.3, height / 2 - 0.7]),
        "features": torch.randn(count, 5, generator=generator),
        "background": torch.tensor([0.2, 0.5, 0.1]),
        "screen_offsets": torch.zeros(count, 2),
    }
    names = ("color", "alpha", "depth", "median_depth", "normal", "features")

    def run(device):
        given = {name: leaf.to(device).clone().requires_grad_() for name, leaf in leaves.items()}
        outputs = ("color", "depth", "median_depth", "normal", "features", "contribution")
        rendered = ops.rasterize(**given, width=width, height=height, outputs=outputs, **settings)
        weights = torch.Generator().manual_seed(4)
        loss = 0.0
        for name in names:
            picture = getattr(rendered, name)
            loss = loss + (picture * torch.rand(picture.shape, generator=weights).to(device)).mean()
        loss.backward()
        return {
            **{name: getattr(rendered, name) for name in (*names, "radii", "contribution")},
            **{f"d {name}": leaf.grad for name, leaf in given.items()},
        }

    return run


def compare_stereo(cuda: Callable) -> list[Comparison]:
    import torch

    from recon import ops

    generator = torch.Generator().manual_seed(5)
    height, width, planes = 45, 61, 32
    coarse = torch.rand(1, 3, 12, 16, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, (height, width + 12), mode="bilinear")[0].permute(
        1, 2, 0
    )
    reference = ops.pack_colors(smooth[:, 6 : 6 + width])
    sources = torch.stack([ops.pack_colors(smooth[:, s : s + width]) for s in (2, 10)])
    sizes = torch.tensor([[width, height]] * 2, dtype=torch.int32)
    projections = torch.eye(3, 4).repeat(2, 1, 1)
    projections[:, 0, 3] = torch.tensor([4.0, -4.0])
    inverse_depths = torch.linspace(0.2, 1.8, planes)
    volume = torch.randint(0, 256, (height, width, planes), generator=generator, dtype=torch.uint8)
    gray = torch.randint(0, 256, (height, width), generator=generator, dtype=torch.uint8)
    start = 1 + 0.02 * torch.randn(height, width, generator=generator)

    def pictures(device):
        return [tensor.to(device) for tensor in (reference, sources, sizes, projections)]

    def sweep(device):
        return {"volume": ops.plane_sweep(*pictures(device), inverse_depths.to(device))}

    def match(device):
        return asdict(ops.semi_global_matching(volume.to(device), gray.to(device)))

    def refine(device):
        slopes = torch.zeros(height, width, 2, device=device)
        planes = ops.refine_planes(*pictures(device), start.to(device), slopes, focal=60.0)
        return {"inverse depth": planes.inverse_depth, "cost": planes.cost.mean()}

    return [
        *_compare("plane_sweep", sweep, cuda, 1e-2),
        *_compare("semi_global_matching", match, cuda, 1e-6),
        # A plane that wins by a hair may lose under another rounding.
        *_compare("refine_planes", refine, cuda, 1e-2),
    ]


def _compare(op: str, run: Callable, cuda: Callable, limit: float) -> list[Comparison]:
    import torch

    expected = run(torch.device("cpu"))
    with cuda() as device:
        got = {name: tensor.detach().cpu() for name, tensor in run(device).items()}
    comparisons = []
    for name, tensor in expected.items():
        a, b = got[name].double().flatten(), tensor.detach().double().flatten()
        norm, scale = float(b.norm()), float(b.abs().mean())
        error = float((a - b).norm()) / norm if norm > 0 else float(a.norm())
        cosine = (
            float(a @ b) / (norm * float(a.norm())) if norm > 0 and float(a.norm()) > 0 else float(norm == 0)
        )
        bias = float((a - b).mean()) / scale if scale > 0 else float(a.mean())
        passed = error <= limit and cosine >= 1 - limit  # false for NaN
        comparisons.append(Comparison(op, name, error, cosine, bias, limit, passed))
    return comparisons


def _emulation():
    from recon.ops.cuda_emulation import emulated_cuda

    return emulated_cuda()


# Timings


def time_all() -> list[Timing]:
    """Time the ops and whole training steps on the GPU."""
    timings = []
    for count, (width, height), sigma, bar in (
        (20_000, (400, 300), 1.0, None),
        (100_000, (800, 600), 1.0, 1.0),
        (1_000_000, (1920, 1080), 0.45, 4.0),
    ):
        timings += time_training(count, width, height, sigma, bar)
    return timings


def time_training(count: int, width: int, height: int, sigma: float, bar_ms: float | None) -> list[Timing]:
    """Time rendering and a training step (render, loss, gradients, Adam) of SH degree 3.

    The scene is the rasterizer benchmark's: Gaussians uniform in a unit cube, two units away. `sigma` scales their
    size; 0.45 gives 1M Gaussians a mean radius of about 6 pixels at 1920 x 1080.
    """
    import torch

    from recon import ops

    parameters, pose, intrinsics = _cube_scene(count, width, height, sigma)
    target = torch.rand(height, width, 3, device="cuda")
    moments = [(torch.zeros_like(p), torch.zeros_like(p)) for p in parameters]
    step_number = torch.ones((), device="cuda")
    label = f"{count // 1000}k Gaussians, {width} x {height}, SH 3"

    def render():
        means, quaternions, log_scales, opacity_logits, sh = parameters
        scales, opacities = log_scales.exp(), opacity_logits.sigmoid()
        return ops.rasterize(means, quaternions, scales, opacities, sh, pose, intrinsics, width, height)

    def render_only():
        with torch.no_grad():
            render()

    def train():
        l1, ssim = ops.l1_ssim(render().color, target)
        gradients = torch.autograd.grad(0.8 * l1 - 0.2 * ssim, parameters)
        for parameter, gradient, (first, second) in zip(parameters, gradients, moments, strict=True):
            ops.adam_step(parameter, gradient, first, second, step=step_number, learning_rate=1e-6)

    timings = [
        _time(f"render, {label}", render_only),
        _time(f"training step, {label}", train, bar_ms),
        _time_captured(f"training step as a CUDA graph, {label}", train, bar_ms),
    ]
    peer = _time_gsplat(label, parameters, pose, intrinsics, width, height)
    return timings if peer is None else [*timings, peer]


def _cube_scene(count: int, width: int, height: int, sigma: float):
    import torch

    generator = torch.Generator().manual_seed(0)
    means = torch.rand(count, 3, generator=generator) - 0.5
    log_scales = (
        torch.log(torch.tensor(0.0028 * sigma)) + (torch.rand(count, 3, generator=generator) * 2 - 1) * 0.7
    )
    opacity_logits = torch.logit(0.1 + 0.89 * torch.rand(count, generator=generator))
    sh = 0.2 * torch.randn(count, 16, 3, generator=generator)
    quaternions = torch.randn(count, 4, generator=generator)
    pose = torch.eye(4, device="cuda")
    pose[2, 3] = 2.0
    focal = 1.2 * width
    intrinsics = torch.tensor([focal, focal, width / 2, height / 2], device="cuda")
    parameters = [
        tensor.cuda().requires_grad_() for tensor in (means, quaternions, log_scales, opacity_logits, sh)
    ]
    return parameters, pose, intrinsics


def _time(name: str, work: Callable, bar_ms: float | None = None, runs: int = 50) -> Timing:
    import torch

    for _ in range(10):
        work()
    torch.cuda.synchronize()
    samples = []
    for _ in range(runs):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        work()
        end.record()
        torch.cuda.synchronize()
        samples.append(start.elapsed_time(end))
    samples.sort()
    return Timing(name, samples[runs // 2], samples[0], runs, bar_ms)


def _time_captured(name: str, work: Callable, bar_ms: float | None) -> Timing:
    import torch

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):  # warm up on another stream, as captures ask for
        for _ in range(5):
            work()
    torch.cuda.current_stream().wait_stream(side)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return _time(name, graph.replay, bar_ms)


def _time_gsplat(label, parameters, pose, intrinsics, width, height) -> Timing | None:
    """Time gsplat's forward and backward of the same picture, where it is installed."""
    if importlib.util.find_spec("gsplat") is None:
        return None
    import torch
    from gsplat import rasterization

    fx, fy, cx, cy = intrinsics.tolist()
    matrix = torch.tensor([[[fx, 0, cx], [0, fy, cy], [0, 0, 1]]], device="cuda")

    def work():
        means, quaternions, log_scales, opacity_logits, sh = parameters
        scales, opacities = log_scales.exp(), opacity_logits.sigmoid()
        image, _, _ = rasterization(
            means, quaternions, scales, opacities, sh, pose[None], matrix, width, height, sh_degree=3
        )
        torch.autograd.grad(image.mean(), parameters)

    return _time(f"gsplat, forward and backward only, {label}", work)


# The report


def write_report(report: dict, comparisons: list[Comparison], timings: list[Timing]) -> Path:
    """Write the JSON and the Markdown file and return the latter's path."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    device = "".join(c if c.isalnum() else "-" for c in report["hardware"]["gpu"].lower())
    stem = RESULTS / f"gpu-check-{report['date'][:10]}-{device}"
    stem.with_suffix(".json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    lines = [
        f"# GPU check, {report['date']}",
        "",
        f"`{report['command']}` on "
        + ", ".join(f"{key} {value}" for key, value in report["hardware"].items()),
        "",
        "## CUDA op against CPU op",
        "",
        _comparison_table(comparisons),
        "",
        f"Tests marked gpu: {report['gpu_tests_passed']}",
        "",
        "## Times",
        "",
        "| what | median ms | minimum ms | runs | bar ms |",
        "|---|---|---|---|---|",
        *(
            f"| {t.name} | {t.median_ms:.3f} | {t.minimum_ms:.3f} | {t.runs} | {t.bar_ms if t.bar_ms else '–'} |"
            for t in timings
        ),
        "",
    ]
    path = stem.with_suffix(".md")
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def _comparison_table(comparisons: list[Comparison]) -> str:
    rows = [
        "| op | quantity | relative error | 1 - cosine | bias | limit | |",
        "|---|---|---|---|---|---|---|",
    ]
    rows += [
        f"| {c.op} | {c.quantity} | {c.relative_error:.1e} | {1 - c.cosine:.1e} | {c.bias:+.1e} | {c.limit:.0e} | "
        f"{'ok' if c.passed else '**fails**'} |"
        for c in comparisons
    ]
    return "\n".join(rows)


if __name__ == "__main__":
    sys.exit(main())
