"""How well signals that need no held-out photo rank the errors of held-out views.

    python benchmarks/confidence.py RUN [RUN ...]

For every run folder: Spearman's correlation of each signal with the true error, over the pixels of a view and over
blocks of 8x8 pixels, averaged over the held-out views; -1 is best. Then expected and true error of the pixels from the
most trusted tenth to the least.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from hardware import header
from numpy import ndarray

from recon import ops
from recon.evaluation.calibration import Calibration, confidence_correlation, pixel_error
from recon.methods.open_inputs import open_inputs
from recon.methods.options import read_settings
from recon.methods.results import evened_as_stored
from recon.run_folder import RunFolder
from recon.scene import Camera
from recon.splats import Gaussians
from recon.splats.confidence import coverage_confidence
from recon.splats.formats import read_splats
from recon.splats.photo_agreement import (
    blend_disagreement,
    expected_error,
    photo_disagreement,
    witnesses,
)
from recon.splats.render import camera_tensors, render

DROPS = 8
"""Renders with half of the Gaussians left out, whose spread is the co-adaptation score."""

BLOCK = 8


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path, nargs="+")
    arguments = parser.parse_args()
    print(header())
    for path in arguments.runs:
        report(path)


@torch.no_grad()
def report(path: Path) -> None:
    """Print the table of one run."""
    correlations: dict[str, list[tuple[float, float]]] = {}
    calibration = Calibration()
    for signals, error in judged_views(RunFolder.open(path)):
        for name, doubt in signals.items():
            pixels = confidence_correlation(doubt, error)
            blocks = confidence_correlation(block_means(doubt), block_means(error))
            correlations.setdefault(name, []).append((pixels or 0.0, blocks or 0.0))
        calibration.add(signals["confidence"], error)
    print(f"\n{path}\n\n| signal | pixels | 8x8 blocks | worst view, pixels |\n|---|---|---|---|")
    for name, values in correlations.items():
        means = np.mean(values, axis=0)
        print(f"| {name} | {means[0]:.2f} | {means[1]:.2f} | {max(pixels for pixels, _ in values):.2f} |")
    rows = calibration.to_json() or []
    print("\nexpected → true error: " + ", ".join(f"{r['expected']:.3f} → {r['measured']:.3f}" for r in rows))


def judged_views(run: RunFolder) -> Iterator[tuple[dict[str, ndarray], ndarray]]:
    """Yield, for every held-out view, what each signal doubts and the true error."""
    scene = evened_as_stored(run, open_inputs(read_settings(run), run))
    gaussians = read_splats(run.splat_file)
    background = None if scene.background is None else torch.tensor(scene.background)
    inputs = witnesses(scene.train_views)
    coverage = coverage_confidence(gaussians, [view.camera for view in scene.train_views])
    for view in scene.test_views:
        if view.withheld:
            continue
        picture = render(gaussians, view.camera, outputs=("color", "depth"), background=background)
        known = background is not None
        expected = expected_error(gaussians, picture, view.camera, inputs, known_background=known)
        signals = {
            "confidence": expected,
            "photos disagree": photo_disagreement(picture, view.camera, inputs),
            "blend disagrees": blend_disagreement(gaussians, view.camera),
            "coverage": -rendered_feature(gaussians, view.camera, coverage),
            "opacity": -picture.alpha,
            "spread under dropout": dropout_spread(gaussians, view.camera, background),
        }
        error = pixel_error(picture.color.numpy(), view.image)
        yield {name: doubt.numpy() for name, doubt in signals.items()}, error


def rendered_feature(gaussians: Gaussians, camera: Camera, values: torch.Tensor) -> torch.Tensor:
    """Blend one number per Gaussian into a picture."""
    pose, intrinsics = camera_tensors(camera)
    g = gaussians
    size = (camera.width, camera.height)
    shape = (g.means, g.quaternions, g.scales, g.opacities, g.sh, pose, intrinsics, *size)
    features = ops.rasterize(*shape, features=values[:, None], outputs=("features",)).features
    assert features is not None
    return features[..., 0]


def dropout_spread(gaussians: Gaussians, camera: Camera, background: torch.Tensor | None) -> torch.Tensor:
    """Return the standard deviation of the colour when half of the Gaussians are left out at random."""
    generator = torch.Generator().manual_seed(0)
    colors = []
    for _ in range(DROPS):
        kept = torch.rand(len(gaussians), generator=generator) > 0.5
        colors.append(render(gaussians[kept], camera, background=background).color)
    return torch.stack(colors).std(0).mean(-1)


def block_means(values: ndarray) -> ndarray:
    """Average over blocks of 8x8 pixels; what is left at the edges stays out."""
    height, width = (side // BLOCK for side in values.shape)
    blocks = values[: height * BLOCK, : width * BLOCK].reshape(height, BLOCK, width, BLOCK)
    return blocks.mean(axis=(1, 3))


if __name__ == "__main__":
    main()
