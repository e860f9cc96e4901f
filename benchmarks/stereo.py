"""Stereo on real captures: coverage and quality of its points in held-out views, and time per view.

    RECON_DATA=… python benchmarks/stereo.py fern --views 3
    RECON_DATA=… python benchmarks/stereo.py scan65 --views 9 --max-size 400 --set max_sources=3

All points are splatted into each held-out view (squares of 1.5 pixels with their photo's colour, nearest surface first)
without any training. `kept` are the matched pixels that another photo confirms; `filled` adds the filled ones.

| column | meaning |
|---|---|
| in% | input pixels that have depth |
| cov%, psnr | held-out pixels covered, and PSNR on these |
| full | PSNR of the whole view, after pixels without a point are filled from around them (push-pull): ranks by both |
| object … | the same inside the object's mask, where the data set has one |
| s/view | processor seconds of one thread per input view, from decoded photos to depth maps |
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import time
from pathlib import Path

import cv2
import numpy as np
from hardware import header
from jaxtyping import Bool, Float
from numpy import ndarray

from recon import ops
from recon.config import from_plain, parse_overrides
from recon.datasets import open_scene
from recon.scene import Camera, Scene, View
from recon.stereo import DepthMap, PointCloud, StereoSettings, estimate_depth, fuse_points

SCENES = {
    "fern": {"path": "llff/fern", "protocol": "llff"},
    "scan65": {"path": "spare", "protocol": "spare", "max_size": 400},
    "fox": {"path": "fox", "max_size": 480},
    "lego": {"path": "lego_400", "protocol": "blender"},
}
FOOTPRINT = 1.5
FRONT = 1.01
"""Points within 1 % of the nearest one at a pixel are blended with it."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scene", choices=SCENES)
    parser.add_argument("--views", type=int, default=3)
    parser.add_argument("--max-size", type=int, help="shrink the photos to this longer side")
    parser.add_argument("--min-confidence", type=float, default=0.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--set", nargs="*", default=[], help="stereo settings, e.g. planes=96")
    arguments = parser.parse_args()

    ops.set_threads(arguments.threads)
    settings = from_plain(StereoSettings, parse_overrides(arguments.set), "stereo")
    place = dict(SCENES[arguments.scene], views=arguments.views)
    if arguments.max_size:
        place["max_size"] = arguments.max_size
    scene = open_scene(Path(os.environ["RECON_DATA"]) / place.pop("path"), **place)

    views = scene.train_views
    sizes = {view.image.shape[1::-1] for view in views}  # decodes the photos before the clock starts
    started = time.thread_time()
    depths = estimate_depth(views, settings, bounds=scene.bounds)
    seconds = (time.thread_time() - started) / len(views)

    print(header())
    print(f"* settings: {settings}")
    print(f"* {scene.name}: {', '.join(' x '.join(map(str, size)) for size in sizes)}")
    print(f"* inputs: {', '.join(scene.train)}; held out: {', '.join(scene.test)}\n")
    print_table(scene, depths, seconds, arguments.min_confidence)


def print_table(scene: Scene, depths: list[DepthMap], seconds: float, min_confidence: float) -> None:
    print("| points | in% | cov% | psnr | full | object cov% | psnr | full | s/view |")
    print("|---|---|---|---|---|---|---|---|---|")
    kept = [dataclasses.replace(d, depth=np.where(d.filled, np.float32(0), d.depth)) for d in depths]
    for name, maps in (("kept", kept), ("filled", depths)):
        cloud = fuse_points(scene.train_views, maps, min_confidence=min_confidence)
        share = np.mean([((d.depth > 0) & (d.confidence >= min_confidence)).mean() for d in maps])
        scores = np.array([score(cloud, view) for view in scene.test_views])
        # A NaN says that the view has no object mask.
        means = [np.nan if np.isnan(column).all() else np.nanmean(column) for column in scores.T]
        cells = [f"{100 * share:.1f}"]
        cells += [
            f"{100 * mean:.1f}" if index % 3 == 0 else f"{mean:.2f}" for index, mean in enumerate(means)
        ]
        print(f"| {name}, {len(cloud)} | {' | '.join(cells)} | {seconds:.2f} |".replace("nan", "–"))


def score(cloud: PointCloud, view: View) -> list[float]:
    """Return coverage, PSNR on covered pixels, PSNR on all; then the same inside the object's mask."""
    color, covered = splat(cloud, view.camera)
    complete = push_pull(color * covered[..., None], covered.astype(np.float64)).clip(0, 1)
    error = ((complete - view.image) ** 2).mean(axis=-1)
    everywhere = np.ones(covered.shape, dtype=bool)
    where = [everywhere, everywhere if view.mask is None else view.mask]
    scores = []
    for region in where:
        scores += [covered[region].mean(), psnr(error[region & covered]), psnr(error[region])]
    return scores if view.mask is not None else [*scores[:3], np.nan, np.nan, np.nan]


def psnr(error: Float[ndarray, " N"]) -> float:
    return float(-10 * np.log10(error.mean())) if len(error) else np.nan


def splat(cloud: PointCloud, camera: Camera) -> tuple[Float[ndarray, "H W 3"], Bool[ndarray, "H W"]]:
    """Draw points as squares, nearest surface first; returns colours and which pixels are covered."""
    pixels, z = camera.project(cloud.positions.astype(np.float64))
    pixels, z, colors = pixels[z > 0], z[z > 0], cloud.colors[z > 0]
    first = np.ceil(pixels - FOOTPRINT / 2 - 0.5).astype(int)
    touched = []
    front = np.full((camera.height, camera.width), np.inf)
    for dx in (0, 1):
        for dy in (0, 1):
            x, y = first[:, 0] + dx, first[:, 1] + dy
            near = np.abs(np.stack([x, y], axis=1) + 0.5 - pixels).max(axis=1) <= FOOTPRINT / 2
            inside = near & (x >= 0) & (y >= 0) & (x < camera.width) & (y < camera.height)
            touched.append((y[inside], x[inside], inside))
            np.minimum.at(front, (y[inside], x[inside]), z[inside])
    total = np.zeros((camera.height, camera.width))
    color = np.zeros((camera.height, camera.width, 3))
    for y, x, inside in touched:
        visible = z[inside] <= front[y, x] * FRONT
        np.add.at(total, (y[visible], x[visible]), 1)
        np.add.at(color, (y[visible], x[visible]), colors[inside][visible])
    return color / np.maximum(total, 1)[..., None], total > 0


def push_pull(color: Float[ndarray, "H W 3"], weight: Float[ndarray, "H W"]) -> Float[ndarray, "H W 3"]:
    """Fill pixels of weight 0 from coarser and coarser averages of the others.

    Source: Gortler et al., "The Lumigraph", 1996, section 3.5.
    """
    height, width = weight.shape
    if weight.min() > 0 or min(height, width) < 2:
        return color / np.maximum(weight, 1e-9)[..., None]
    padded = [(0, height % 2), (0, width % 2)]
    half = (height + 1) // 2, 2, (width + 1) // 2, 2
    total = np.pad(weight, padded).reshape(half).sum(axis=(1, 3))
    mixed = np.pad(color, [*padded, (0, 0)]).reshape(*half, 3).sum(axis=(1, 3))
    scale = np.maximum(total, 1)
    coarse = push_pull(mixed / scale[..., None], total / scale)
    size = (half[2] * 2, half[0] * 2)
    fine = cv2.resize(coarse, size, interpolation=cv2.INTER_LINEAR)[:height, :width]
    return color + fine * (1 - np.minimum(weight, 1))[..., None]


if __name__ == "__main__":
    main()
