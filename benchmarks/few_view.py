"""Few-view quality on real captures: methods and single changes to them, over several seeds.

    RECON_DATA=… python benchmarks/few_view.py fern --views 3 --rungs splat-random,splat-stereo,quality --seeds 3

A rung is a method with settings laid over its preset; `RUNGS` lists them. Stereo runs once per scene, because it is
the same for all rungs and seeds; its time is reported apart. Each finished run is appended to --out as a JSON line, and
runs that are already there are not repeated.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch

from recon.config import from_plain, merged, parse_overrides, to_plain
from recon.datasets import open_scene
from recon.datasets.split import match_names
from recon.evaluation import Rendered, evaluate_views
from recon.methods.options import ReconstructOptions, resolve
from recon.methods.pipeline import finished, method_module
from recon.methods.stereo_inputs import stereo_inputs
from recon.scene import Scene
from recon.splats.render import render
from recon.train import Trainer

SCENES = {
    "fern": {"folder": "llff/fern", "protocol": "llff"},
    "scan65": {"folder": "spare", "protocol": "spare"},
    "fox": {"folder": "fox", "split": "middle"},
    "fox-near": {"folder": "fox", "split": "near"},
    "fox-even": {"folder": "fox", "split": "even"},
    "lego": {"folder": "lego_400", "protocol": "blender"},
}

FOX = {
    "middle": {3: "0021 0025 0030 0034 0042 0039"},
    "near": {
        3: "0018 0019 0021 0022 0025",
        5: "0012 0014 0018 0019 0021 0022 0025 0026 0027",
        9: "0006 0007 0008 0009 0012 0014 0018 0019 0021 0022 0025 0026 0027 0029 0030 0031 0033",
    },
    "even": {
        3: "0001 0021 0042 0081 0115",
        5: "0001 0008 0021 0030 0042 0072 0081 0097 0115",
        9: "0001 0004 0008 0014 0021 0026 0030 0034 0042 0049 0072 0076 0081 0089 0097 0107 0115",
    },
}
"""Fox has no split of its own. In each row every other photo, from the first on, is an input; those between are held
out, and lie between two inputs. `near`: successive photos around the one nearest to the cameras' mean; `even`: evenly
spaced over the whole capture, whose 3 or 5 inputs are too few to overlap everywhere."""

PARTS = {
    "continuation": ["initial.continuation_cell=3"],
    "opacity": ["initial.opacity=0.15"],
    "steps": ["train.rates.means_pixels=0.1"],
    "backdrop": ["initial.backdrop_cell=12"],
    "dropout": ["dropout.start_rate=0.05", "dropout.end_rate=0.3"],
    "decay": ["opacity_left=0.3"],
    "sizes": ["train.rates.log_scales=0.04", "train.rates.log_scales_final=0.5"],
    "virtual": ["virtual.count=18"],
    "depth": ["depth.weight=0.1"],
    "growth": ["density.stop=0.5"],
}
"""What `quality` is made of, switched on."""
OFF = {
    "continuation": ["initial.continuation_cell=0"],
    "opacity": ["initial.opacity=0.6"],
    "steps": ["train.rates.means_pixels=0.02"],
    "backdrop": ["initial.backdrop_cell=0"],
    "dropout": ["dropout.start_rate=0.0", "dropout.end_rate=0.0"],
    "decay": ["opacity_left=1.0"],
    "sizes": ["train.rates.log_scales=0.005", "train.rates.log_scales_final=1.0"],
}
"""The parts that are on by default, switched off."""
COHERENT_OFF = {
    "alignment": ["alignment.iterations=0"],
    "decoder": ["geometry.enabled=false", "opacity.enabled=false"],
    "smoothness": ["smoothness=0.0"],
    "flow": ["flow=0.0"],
    "multisampling": ["multisampling.highest=1"],
    "inpainting": ["priors.repair=none"],
}
"""The parts of `coherent`, switched off."""
PLAIN = [setting for settings in OFF.values() for setting in settings]

RUNGS: dict[str, tuple[str, list[str]]] = {
    "splat-random": ("splat", ["initial.kind=random"]),
    "splat-stereo": ("splat", []),
    "start": ("quality", PLAIN),
    **{f"start+{name}": ("quality", [*PLAIN, *settings]) for name, settings in PARTS.items()},
    "quality": ("quality", []),
    **{f"quality-{name}": ("quality", settings) for name, settings in OFF.items()},
    **{f"quality+{name}": ("quality", PARTS[name]) for name in ("virtual", "depth", "growth")},
    "coherent": ("coherent", []),
    **{f"coherent-{name}": ("coherent", settings) for name, settings in COHERENT_OFF.items()},
}


def parser() -> argparse.ArgumentParser:
    """Return the parser of the options."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("scene", choices=SCENES)
    options.add_argument("--views", type=int, default=3)
    options.add_argument("--rungs", default="splat-random,splat-stereo,quality")
    options.add_argument("--preset", default="standard")
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--max-size", type=int)
    options.add_argument("--set", nargs="*", default=[], help="settings laid over every rung")
    options.add_argument("--label", default="", help="suffix of the rungs' names, for --set")
    options.add_argument("--out", type=Path, default=Path("runs/few_view.jsonl"))
    return options


Compose = Callable[[Any, str, str, list[str], int], Trainer]
"""Makes the trainer of a rung from inputs, rung, preset, settings laid over it, and seed."""


def main(words: Sequence[str] | None = None) -> None:
    measure(parser().parse_args(words), compose_rung)


def measure(arguments: argparse.Namespace, compose: Compose) -> None:
    """Run the rungs that are not in the file of results yet, and print what is there."""
    scene = open_capture(arguments.scene, arguments.views, arguments.max_size)
    done = _finished(arguments.out)
    settings = resolve(ReconstructOptions(photos=Path("."), output=Path("."), preset=arguments.preset))
    started = time.perf_counter()
    inputs = stereo_inputs(
        scene.train_views, settings.stereo_config, bounds=scene.bounds, background=scene.background
    )
    print(f"train {scene.train}, test {scene.test}; stereo {time.perf_counter() - started:.1f} s", flush=True)
    for seed in range(arguments.seeds):
        for rung in arguments.rungs.split(","):
            key = [
                arguments.scene,
                arguments.views,
                arguments.preset,
                arguments.max_size,
                rung + arguments.label,
                seed,
            ]
            if json.dumps(key) in done:
                continue
            row = _run(scene, inputs, rung, arguments, seed, compose)
            arguments.out.parent.mkdir(parents=True, exist_ok=True)
            with open(arguments.out, "a") as file:
                file.write(json.dumps({"key": key, "date": date.today().isoformat(), **row}) + "\n")
            print(
                rung + arguments.label, seed, {k: v for k, v in row.items() if k != "per_image"}, flush=True
            )
    _print_table(arguments.out, [arguments.scene, arguments.views, arguments.preset, arguments.max_size])


def open_capture(name: str, views: int, max_size: int | None = None, downscale: float | None = None) -> Scene:
    """Open a scene of `SCENES` with its split for this number of inputs."""
    place = SCENES[name]
    folder = Path(os.environ["RECON_DATA"]) / place["folder"]
    sizes = {"max_size": max_size, "downscale": downscale}
    if "split" not in place:
        return open_scene(folder, protocol=place.get("protocol"), views=views, **sizes)
    splits = FOX[place["split"]]
    if views not in splits:
        raise SystemExit(f"{name} has splits of {', '.join(map(str, splits))} views, not of {views}")
    scene = open_scene(folder, **sizes)
    chosen = match_names(splits[views].split(), [view.name for view in scene.views])
    return scene.with_split(list(chosen[::2]), list(chosen[1::2]))


def rung_config(rung: str, preset: str, assignments: list[str]) -> tuple[str, Any]:
    """Return a rung's method and the config it runs with."""
    method, own = RUNGS[rung]
    resolved = resolve(
        ReconstructOptions(photos=Path("."), output=Path("."), method=method, preset=preset, device="cpu")
    )
    config_class = type(resolved.method_config)
    plain = merged(to_plain(resolved.method_config), parse_overrides([*own, *assignments]))
    return method, from_plain(config_class, plain)


def compose_rung(inputs, rung: str, preset: str, assignments: list[str], seed: int) -> Trainer:
    """Return the trainer of a rung, not yet run."""
    method, config = rung_config(rung, preset, assignments)
    return method_module(method).compose(inputs, config, seed, torch.device("cpu"))


def _run(scene, inputs, rung: str, arguments, seed: int, compose: Compose) -> dict:
    method, config = rung_config(rung, arguments.preset, arguments.set)
    started = time.perf_counter()
    trainer = compose(inputs, rung, arguments.preset, arguments.set, seed)
    composing = time.perf_counter() - started
    start = trainer.gaussians.gaussians.detach().map(torch.clone)
    started = time.perf_counter()
    trainer.run()
    result = finished(method, trainer.gaussians.gaussians.detach(), inputs, config)
    seconds = composing + time.perf_counter() - started
    background = None if scene.background is None else torch.tensor(scene.background)

    def measure(gaussians) -> dict:
        return evaluate_views(
            scene.test_views, lambda camera: Rendered(render(gaussians, camera, background=background).color)
        )

    metrics = measure(result)
    kept = {name: metrics.mean.get(name) for name in ("psnr", "ssim", "psnr_masked", "gradient_error")}
    return {
        **{name: round(value, 4) for name, value in kept.items() if value is not None},
        "start_psnr": round(measure(start).mean["psnr"], 2),
        "seconds": round(seconds, 1),
        "gaussians": len(result),
        "start_gaussians": len(start),
        "iterations": trainer.iteration,
    }


def _finished(path: Path) -> set[str]:
    return (
        {json.dumps(json.loads(line)["key"]) for line in path.read_text().splitlines()}
        if path.exists()
        else set()
    )


def _print_table(path: Path, case: list) -> None:
    rows: dict[str, list[dict]] = {}
    for line in path.read_text().splitlines():
        row = json.loads(line)
        if row["key"][:4] == case:
            rows.setdefault(row["key"][4], []).append(row)
    names = {"PSNR": "psnr", "SSIM": "ssim", "masked PSNR": "psnr_masked", "gradient error": "gradient_error"}
    print(f"| rung | {' | '.join(names)} | seconds | Gaussians | seeds |\n|---|---|---|---|---|---|---|---|")
    for rung, runs in rows.items():
        cells = []
        for name in names.values():
            values = [run[name] for run in runs if name in run]
            digits = 4 if name == "gradient_error" else 3
            cells.append(
                f"{np.mean(values):.{digits}f} ± {np.std(values, ddof=len(values) > 1):.{digits}f}"
                if values
                else "–"
            )
        seconds, count = (np.mean([run[name] for run in runs]) for name in ("seconds", "gaussians"))
        print(f"| {rung} | {' | '.join(cells)} | {seconds:.0f} | {count:.0f} | {len(runs)} |")


if __name__ == "__main__":
    main()
