"""Does training at full size cost quality? Full-size renders, averaged to half size, against training at half size.

    RECON_DATA=… python benchmarks/resolution.py scan65 --views 3 --preset quick --seeds 3

Each training runs in a process of its own, whose peak memory is reported. Held-out photos are compared at the size that
was trained and, for both, at half size. Rows are appended to --out; those that are there already are not repeated.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import numpy as np
import torch
from few_view import SCENES, compose_rung
from hardware import header

from recon.datasets import open_scene
from recon.datasets.resize import area_average
from recon.evaluation import Rendered, evaluate_views
from recon.methods.options import ReconstructOptions, resolve
from recon.methods.stereo_inputs import stereo_inputs
from recon.splats.render import render

SIZES = ("full", "half")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scene", choices=SCENES)
    parser.add_argument("--views", type=int, default=3)
    parser.add_argument("--preset", default="quick")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--set", nargs="*", default=[], help="settings laid over the preset")
    parser.add_argument("--out", type=Path, default=Path("runs/resolution.jsonl"))
    parser.add_argument("--one", nargs=2, metavar=("SIZE", "SEED"), help="do one training and print its row")
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(_train(arguments, arguments.one[0], int(arguments.one[1]))))
        return
    print(header())
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    lines = arguments.out.read_text().splitlines() if arguments.out.exists() else []
    rows = [json.loads(line) for line in lines]
    case = [arguments.scene, arguments.views, arguments.preset, *arguments.set]
    for seed in range(arguments.seeds):
        for size in SIZES:
            key = [*case, size, seed]
            if any(row["key"] == key for row in rows):
                continue
            command = [sys.executable, *sys.argv, "--one", size, str(seed)]
            output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            row = {"key": key, "date": date.today().isoformat(), **json.loads(output.splitlines()[-1])}
            rows.append(row)
            print(row, flush=True)
            with open(arguments.out, "a") as file:
                file.write(json.dumps(row) + "\n")
    _print_table([row for row in rows if row["key"][:-2] == case])


def _train(arguments: argparse.Namespace, size: str, seed: int) -> dict:
    scene = _scene(arguments, None)
    width = scene.train_views[0].camera.width
    half = _scene(arguments, width // 2)
    own = scene if size == "full" else half
    settings = resolve(ReconstructOptions(photos=Path("."), output=Path("."), preset=arguments.preset))
    started = time.perf_counter()
    inputs = stereo_inputs(
        own.train_views, settings.stereo_config, bounds=own.bounds, background=own.background
    )
    trainer = compose_rung(inputs, "quality", arguments.preset, arguments.set, seed)
    trainer.run()
    seconds = time.perf_counter() - started
    gaussians = trainer.gaussians.gaussians.detach()
    background = None if own.background is None else torch.tensor(own.background)

    def draw(camera) -> Rendered:
        return Rendered(render(gaussians, camera, background=background).color)

    def draw_averaged(camera) -> Rendered:
        """Draw at the trained size, then average to the size of the camera asked for."""
        name = next(view.name for view in half.test_views if view.camera is camera)
        picture = draw(own.view(name).camera).image
        return Rendered(area_average(np.asarray(picture), camera.width, camera.height))

    at_own_size = evaluate_views(own.test_views, draw).mean
    peak = (
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    )  # before the second measurement loads more
    at_half = evaluate_views(half.test_views, draw_averaged).mean
    names = ("psnr", "ssim", "psnr_masked", "ssim_masked")
    return {
        **{name: round(at_own_size[name], 3) for name in names if name in at_own_size},
        **{f"{name}_at_half": round(at_half[name], 3) for name in names if name in at_half},
        "seconds": round(seconds, 1),
        "peak_memory_mb": round(peak),
        "gaussians": len(gaussians),
        "iterations": trainer.iteration,
    }


def _scene(arguments: argparse.Namespace, max_size: int | None):
    place = SCENES[arguments.scene]
    folder = Path(os.environ["RECON_DATA"]) / place["folder"]
    return open_scene(folder, protocol=place.get("protocol"), views=arguments.views, max_size=max_size)


def _print_table(rows: list[dict]) -> None:
    columns = (
        "psnr",
        "psnr_masked",
        "ssim_masked",
        "psnr_at_half",
        "psnr_masked_at_half",
        "peak_memory_mb",
        "seconds",
    )
    print(f"| trained at | {' | '.join(columns)} | seeds |\n|{'---|' * (len(columns) + 2)}")
    for size in SIZES:
        chosen = [row for row in rows if row["key"][-2] == size]
        cells = []
        for name in columns:
            values = [row[name] for row in chosen if name in row]
            cells.append(
                f"{np.mean(values):.3f} ± {np.std(values, ddof=len(values) > 1):.3f}" if values else "–"
            )
        print(f"| {size} | {' | '.join(cells)} | {len(chosen)} |")


if __name__ == "__main__":
    main()
