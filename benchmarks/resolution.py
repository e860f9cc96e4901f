"""Does training at a larger size cost quality? Every size's renders, averaged to the smallest size, side by side.

    RECON_DATA=… python benchmarks/resolution.py scan65 --views 3 --sizes 1600,800,400 --preset quick --seeds 3

A size is the longer side of the pictures in pixels. Each training runs in a process of its own, whose peak memory is
reported. Held-out photos are compared at the size that was trained and, averaged, at the smallest size; the last column
is the difference there to the model that was trained at the smallest size. Where the capture has object masks, the
object is measured beside the whole picture. Rows are appended to --out; those that are there already are not repeated.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import numpy as np
import torch
from few_view import SCENES, compose_rung, open_capture
from hardware import header

from recon.datasets.resize import area_average
from recon.evaluation import Rendered, evaluate_views
from recon.methods.options import ReconstructOptions, resolve
from recon.methods.stereo_inputs import stereo_inputs
from recon.scene import Scene
from recon.splats.render import render

METRICS = ("psnr", "ssim", "psnr_masked", "ssim_masked")
FINEST = {"fern": 4}
"""Where the protocol asks for a size that is not the finest of the capture: the factor of the finest that is here. All
sizes are averaged from that one."""


def main() -> None:
    arguments = _parser().parse_args()
    sizes = sorted((int(size) for size in arguments.sizes.split(",")), reverse=True)
    if arguments.one:
        size, seed = arguments.one
        print(json.dumps(_train(arguments, size, sizes[-1], seed)))
        return
    print(header())
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    lines = arguments.out.read_text().splitlines() if arguments.out.exists() else []
    rows = [json.loads(line) for line in lines]
    case = [arguments.scene, arguments.views, arguments.preset, *arguments.set, sizes[-1]]
    for seed in range(arguments.seeds):
        for size in sizes:
            key = [*case, size, seed]
            if any(row["key"] == key for row in rows):
                continue
            command = [sys.executable, *sys.argv, "--one", str(size), str(seed)]
            output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            row = {"key": key, "date": date.today().isoformat(), **json.loads(output.splitlines()[-1])}
            rows.append(row)
            print(row, flush=True)
            with open(arguments.out, "a") as file:
                file.write(json.dumps(row) + "\n")
    _print_table([row for row in rows if row["key"][:-2] == case and row["key"][-2] in sizes], sizes)


def _parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("scene", choices=SCENES)
    options.add_argument("--views", type=int, default=3)
    options.add_argument("--sizes", required=True, help="longer sides in pixels, joined by commas")
    options.add_argument("--preset", default="quick")
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--set", nargs="*", default=[], help="settings laid over the preset")
    options.add_argument("--out", type=Path, default=Path("runs/resolution.jsonl"))
    options.add_argument(
        "--one", nargs=2, type=int, metavar=("SIZE", "SEED"), help="do one training and print its row"
    )
    return options


def _train(arguments: argparse.Namespace, size: int, smallest: int, seed: int) -> dict:
    scene, small = (
        open_capture(arguments.scene, arguments.views, longest, FINEST.get(arguments.scene))
        for longest in (size, smallest)
    )
    settings = resolve(ReconstructOptions(photos=Path("."), output=Path("."), preset=arguments.preset))
    started = time.perf_counter(), time.process_time()
    inputs = stereo_inputs(
        scene.train_views, settings.stereo_config, bounds=scene.bounds, background=scene.background
    )
    trainer = compose_rung(inputs, "quality", arguments.preset, arguments.set, seed)
    trainer.run()
    seconds, processor_seconds = time.perf_counter() - started[0], time.process_time() - started[1]
    at_own_size, at_smallest, peak = _measure(trainer.gaussians.gaussians.detach(), scene, small)
    return {
        **{name: round(at_own_size[name], 3) for name in METRICS if name in at_own_size},
        **{f"{name}_at_smallest": round(at_smallest[name], 3) for name in METRICS if name in at_smallest},
        "seconds": round(seconds, 1),
        "processor_seconds": round(processor_seconds, 1),
        "peak_memory_mb": round(peak),
        "gaussians": len(trainer.gaussians),
        "iterations": trainer.iteration,
    }


def _measure(gaussians, scene: Scene, small: Scene) -> tuple[dict, dict, float]:
    """Return metrics at the scene's size, those averaged to the small scene's, and the peak memory in MB."""
    background = None if scene.background is None else torch.tensor(scene.background)

    def draw(camera) -> Rendered:
        return Rendered(render(gaussians, camera, background=background).color)

    def draw_averaged(camera) -> Rendered:
        """Draw at the trained size, then average to the size of the camera asked for."""
        name = next(view.name for view in small.test_views if view.camera is camera)
        picture = draw(scene.view(name).camera).image
        return Rendered(area_average(np.asarray(picture), camera.width, camera.height))

    at_own_size = evaluate_views(scene.test_views, draw).mean
    # Before the second measurement loads more pictures.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return at_own_size, evaluate_views(small.test_views, draw_averaged).mean, peak


def _print_table(rows: list[dict], sizes: list[int]) -> None:
    masked = "psnr_masked" in rows[0]
    columns = [("PSNR", "psnr", 2), ("SSIM", "ssim", 3)]
    if masked:
        columns += [("PSNR on the object", "psnr_masked", 2), ("SSIM on the object", "ssim_masked", 3)]
    columns += [(f"{title} at {sizes[-1]}", f"{name}_at_smallest", digits) for title, name, digits in columns]
    gains = ["psnr_at_smallest", *(["psnr_masked_at_smallest"] if masked else [])]
    titles = [
        *(title for title, _, _ in columns),
        *("gain", "gain on the object")[: len(gains)],
        "peak memory",
        "seconds",
        "processor seconds",
        "seeds",
    ]
    print(f"| trained at | {' | '.join(titles)} |\n{'|---' * (len(titles) + 1)}|")
    runs = {size: [row for row in rows if row["key"][-2] == size] for size in sizes}
    for size, own in runs.items():
        cells = []
        for _, name, digits in columns:
            values = [row[name] for row in own]
            spread = np.std(values, ddof=min(1, len(values) - 1))
            cells.append(f"{np.mean(values):.{digits}f} ± {spread:.{digits}f}")
        for name in gains:
            difference = np.mean([row[name] for row in own]) - np.mean([row[name] for row in runs[sizes[-1]]])
            cells.append(f"{difference:+.2f} dB")
        cells.append(f"{np.mean([row['peak_memory_mb'] for row in own]) / 1000:.2f} GB")
        cells += [f"{np.mean([row[name] for row in own]):.0f} s" for name in ("seconds", "processor_seconds")]
        print(f"| {size} | {' | '.join(cells)} | {', '.join(str(row['key'][-1]) for row in own)} |")


if __name__ == "__main__":
    main()
