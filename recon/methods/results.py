"""Writing what a run leaves behind: cameras, pictures, measurements."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import torch

from recon.datasets import write_transforms
from recon.errors import ReconError
from recon.evaluation import Rendered, evaluate_views, load_metric_networks
from recon.evaluation.calibration import Calibration, pixel_error
from recon.evaluation.evaluate import MaskedProtocol
from recon.evaluation.pictures import PictureKind, picture_path
from recon.export.pictures import write_confidence, write_depth, write_image
from recon.export.points import write_points
from recon.files import read_json, write_json
from recon.methods.inputs import Inputs
from recon.methods.novel_coverage import coverage_notes, write_coverage
from recon.run_folder import RunFolder
from recon.scene import Camera, Exposures, Scene, View, evened_scene
from recon.splats import Gaussians
from recon.splats.confidence import coverage_confidence
from recon.splats.confidence_file import write_confidence_file
from recon.splats.photo_agreement import expected_error, view_confidence, witnesses
from recon.splats.render import render


def write_cameras(run: RunFolder, scene: Scene) -> None:
    """Write cameras.json in nerfstudio's transforms layout, and points.ply where the scene has sparse points."""
    write_transforms(run.cameras_file, scene)


def write_exposures(run: RunFolder, exposures: Exposures) -> None:
    """Write exposures.json: what was taken out of the input photos."""
    write_json(run.exposures_file, exposures)


def evened_as_stored(run: RunFolder, scene: Scene) -> Scene:
    """Return the scene with its input photos as the run was trained on them, and a note where they were evened.

    Raises:
        ReconError: when exposures.json is not what `write_exposures` writes.
    """
    if not run.exposures_file.exists():
        return scene
    stored = read_json(run.exposures_file)
    factors = list(stored.values()) if isinstance(stored, dict) else [None]
    if not all(_is_exposure(one) for one in factors):
        raise ReconError(f"{run.exposures_file} does not hold three positive factors for each photo")
    exposures = {name: stored[name] for name in scene.train if name in stored}
    if not exposures:
        return scene
    brightness = [sum(one) / 3 for one in exposures.values()]
    return evened_scene(scene, exposures).with_notes(
        f"The input photos were exposed differently, {min(brightness):.2f} to {max(brightness):.2f} times their mean, "
        "and were evened out; held-out photos are compared as they are."
    )


def _is_exposure(stored: Any) -> bool:
    return (
        isinstance(stored, list)
        and len(stored) == 3
        and all(isinstance(one, int | float) and 0 < one < float("inf") for one in stored)
    )


def write_stereo_results(run: RunFolder, inputs: Inputs) -> None:
    """Write the depth and the confidence that stereo found for every input, and its points."""
    for view, depth in zip(inputs.views, inputs.depths, strict=True):
        write_depth(picture_path(run.path, "depth", view.name, "_stereo"), depth.depth)
        write_confidence(picture_path(run.path, "depth", view.name, "_confidence"), depth.confidence)
    if inputs.points is not None:
        write_points(run.stereo_points_file, inputs.points.positions, inputs.points.colors)


def measure(run: RunFolder, scene: Scene, gaussians: Gaussians, masked: MaskedProtocol) -> dict[str, Any]:
    """Render all views, write pictures and confidence, and return what metrics.json says of them and of the scene.

    Args:
        masked: how views with an object mask are measured on the object.
    """
    background = None if scene.background is None else torch.tensor(scene.background)
    networks = load_metric_networks()
    inputs = witnesses(scene.train_views)
    calibration = Calibration()

    def draw(camera: Camera, *, new: bool = False) -> Rendered:
        picture = render(gaussians, camera, outputs=("color", "depth"), background=background)
        rendered = Rendered(picture.color, picture.depth)
        if not new:
            return rendered
        known = background is not None
        error = expected_error(gaussians, picture, camera, inputs, known_background=known)
        return replace(rendered, expected_error=error)

    def writer(renders: PictureKind, truth: PictureKind):
        def write(view: View, rendered: Rendered) -> None:
            write_image(picture_path(run.path, renders, view.name), rendered.image)
            write_image(picture_path(run.path, truth, view.name), view.image)
            if rendered.depth is not None:
                write_depth(picture_path(run.path, "depth", view.name), rendered.depth)
            if rendered.expected_error is not None:
                expected = torch.as_tensor(rendered.expected_error)
                write_confidence(picture_path(run.path, "confidence", view.name), view_confidence(expected))
                error = pixel_error(torch.as_tensor(rendered.image).numpy(), view.image)
                calibration.add(expected.numpy(), error, view.valid)

        return write

    shown = [view for view in scene.test_views if not view.withheld]
    write_test = writer("renders/test", "truth/test")
    test = evaluate_views(shown, partial(draw, new=True), masked=masked, lpips=networks, on_view=write_test)
    write_train = writer("renders/train", "truth/train")
    train = evaluate_views(scene.train_views, draw, masked=masked, lpips=networks, on_view=write_train)
    cameras = [view.camera for view in scene.train_views]
    confidence = coverage_confidence(gaussians, cameras)
    write_confidence_file(run.confidence_file, confidence)
    coverage = write_coverage(run, scene, gaussians, confidence)
    return {
        "poses": scene.poses,
        "train": list(scene.train),
        "test": test.to_json(),
        "train_views": train.to_json(),
        "calibration": calibration.to_json(),
        "coverage": coverage,
        "warnings": list(scene.warnings),
        "notes": [*scene.notes, *coverage_notes(coverage)],
    }
