"""What each part of the stream encoder brings: quality on held-out cameras, bytes of the file, seconds per frame.

    RECON_DATA=… python benchmarks/stream_encode.py [--frames 11] [--max-size 320] [--rungs default,published]

Frame 0 is reconstructed once per seed and shared by all rungs; each then encodes the frames after it. `bytes` are
those of the records as they lie in the files, keyframe aside. `raw` is what the same changes take as float32 for all
Gaussians, zeros included, by zstd at level 9. Seconds are processor time per frame.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
import zstandard
from hardware import header

from recon.datasets.clips import Clip, open_clip
from recon.evaluation.metrics import psnr, ssim
from recon.queen.anchors import anchor_cells
from recon.queen.encode import moment_pair
from recon.queen.first_frame import FirstFrame, FirstFrameSettings, first_frame
from recon.queen.settings import BirthSettings, GateSettings, QueenSettings
from recon.queen.train_frame import train_frame
from recon.scene import Scene, evened_scene
from recon.splats.render import render
from recon.streaming import StreamState, apply_residual, encode_residual, state_of

DEFAULT = QueenSettings()
PUBLISHED = replace(
    DEFAULT,
    anchors=False,
    deviations=0.0,
    kilobyte_cost=0.0,
    dropout=0.0,
    gates=GateSettings(scope="positions", shared="splat"),
)
"""QUEEN as in its paper, births aside."""
RAW = replace(PUBLISHED, quantised=False, gates=GateSettings(enabled=False), masked_share=0.0)

RUNGS = {
    "default": DEFAULT,
    "default-quantisation": replace(DEFAULT, quantised=False),
    "default-gates": replace(DEFAULT, gates=replace(DEFAULT.gates, enabled=False)),
    "default-gate start": replace(DEFAULT, gates=replace(DEFAULT.gates, start="open")),
    "default-rate": replace(DEFAULT, kilobyte_cost=0.0),
    "default (rate x 1/3)": replace(DEFAULT, kilobyte_cost=DEFAULT.kilobyte_cost / 3),
    "default (rate x 3)": replace(DEFAULT, kilobyte_cost=DEFAULT.kilobyte_cost * 3),
    "default-dropout": replace(DEFAULT, dropout=0.0),
    "default-masking": replace(DEFAULT, masked_share=0.0),
    "default-anchors": replace(DEFAULT, anchors=False, gates=replace(DEFAULT.gates, shared="splat")),
    "default-selection": replace(DEFAULT, deviations=0.0),
    "default+births": replace(DEFAULT, births=BirthSettings(most=100)),
    "raw": RAW,
    "raw+quantisation": replace(RAW, quantised=True),
    "raw+quantisation+gates": replace(
        RAW, quantised=True, gates=GateSettings(scope="positions", shared="splat", start="open")
    ),
    "raw+quantisation+gates+gate start": replace(PUBLISHED, masked_share=0.0),
    "published": PUBLISHED,
}
"""Parts of our default taken away one at a time, and QUEEN's own parts added one after the other (its table 3)."""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the options."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("clip", nargs="?", type=Path, help="default: panoptic_basketball in RECON_DATA")
    options.add_argument("--frames", type=int, default=11)
    options.add_argument("--max-size", type=int, default=320)
    options.add_argument("--seeds", type=int, default=1)
    options.add_argument("--preset", default="quick", help="of frame 0")
    options.add_argument("--rungs", default=",".join(RUNGS))
    options.add_argument("--out", type=Path, default=Path("runs/stream_encode.jsonl"))
    return options


def main() -> None:
    """Run the rungs and print a line for each."""
    import os

    arguments = parser().parse_args()
    folder = arguments.clip or Path(os.environ["RECON_DATA"]) / "panoptic_basketball"
    clip = open_clip(folder, frames=arguments.frames, max_size=arguments.max_size)
    print(header())
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    for seed in range(arguments.seeds):
        start = clip.scene(0)
        first = first_frame(
            folder, start, FirstFrameSettings(preset=arguments.preset), seed, torch.device("cpu")
        )
        for rung in arguments.rungs.split(","):
            row = {
                "rung": rung,
                "seed": seed,
                "date": date.today().isoformat(),
                "max_size": arguments.max_size,
            }
            row |= measured(clip, first, RUNGS[rung], seed)
            with open(arguments.out, "a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            shown = {name: value for name, value in row.items() if name not in ("curve", "date", "max_size")}
            print(json.dumps(shown), flush=True)


def measured(clip: Clip, first: FirstFrame, settings: QueenSettings, seed: int) -> dict[str, Any]:
    """Encode all frames after the first; returns means over them, and the PSNR of every frame."""
    anchors = None
    if settings.anchors:
        side = settings.anchor_pixels * first.pixel_size
        anchors = anchor_cells(first.gaussians.means.numpy(), side)
    state, _ = state_of(first.gaussians, anchors=anchors)
    curve, similarity, sizes, raw, seconds = [], [], [], [], []
    before = evened_scene(clip.scene(0), first.exposures)
    curve.append(quality(state, before)[0])
    for frame in range(1, len(clip)):
        now = evened_scene(clip.scene(frame), first.exposures)
        generator = torch.Generator().manual_seed(seed * 1_000_003 + frame)
        pair = moment_pair(before, now, torch.device("cpu"))
        started = time.process_time()
        residual = train_frame(state, *pair, settings, first.pixel_size, generator)
        seconds.append(time.process_time() - started)
        sizes.append(len(encode_residual(residual, state, frame).to_bytes()))
        old = {name: array.copy() for name, array in state.arrays.items()}
        apply_residual(state, residual)
        raw.append(sum(len(part) for part in raw_bytes(old, state)))
        found = quality(state, now)
        curve.append(found[0])
        similarity.append(found[1])
        before = now
    return {
        "psnr": round(float(np.mean(curve[1:])), 3),
        "psnr_first": round(curve[0], 3),
        "ssim": round(float(np.mean(similarity)), 4),
        "bytes": round(float(np.mean(sizes))),
        "raw": round(float(np.mean(raw))),
        "processor_seconds": round(float(np.mean(seconds)), 2),
        "gaussians": len(state),
        "curve": [round(one, 3) for one in curve],
    }


def quality(state: StreamState, scene: Scene) -> tuple[float, float]:
    """Return the mean PSNR and SSIM over the held-out cameras."""
    gaussians = state.gaussians()
    pairs = []
    for view in scene.test_views:
        picture = render(gaussians, view.camera).color.clamp(0, 1).numpy()
        pairs.append((psnr(picture, view.image), ssim(picture, view.image) or 0.0))
    return tuple(float(np.mean(one)) for one in zip(*pairs, strict=True))  # type: ignore[return-value]


def raw_bytes(old: dict[str, np.ndarray], state: StreamState) -> Iterator[bytes]:
    """Yield what a frame's changes take without any of this: all numbers' differences as float32, packed by zstd."""
    packer = zstandard.ZstdCompressor(level=9)
    for name, array in state.arrays.items():
        change = array.copy()
        rows = min(len(array), len(old[name]))
        change[:rows] -= old[name][:rows]
        yield packer.compress(change.astype("<f4").tobytes())


if __name__ == "__main__":
    main()
