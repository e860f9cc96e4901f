"""Writing what a run leaves behind: cameras, pictures, measurements."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from recon.datasets import write_transforms
from recon.evaluation import Rendered, evaluate_views, load_metric_networks
from recon.evaluation.pictures import PictureKind, picture_path
from recon.export.pictures import write_confidence, write_depth, write_image
from recon.export.points import write_points
from recon.methods.inputs import Inputs
from recon.methods.virtual_views import virtual_cameras
from recon.run_folder import RunFolder
from recon.scene import Camera, Scene, View
from recon.splats import Gaussians
from recon.splats.confidence import coverage_confidence
from recon.splats.confidence_file import write_confidence_file
from recon.splats.coverage import coverage_mask
from recon.splats.render import render


def write_cameras(run: RunFolder, scene: Scene) -> None:
    """Write cameras.json in nerfstudio's transforms layout, and points.ply where the scene has sparse points."""
    write_transforms(run.cameras_file, scene)


def write_stereo_results(run: RunFolder, inputs: Inputs) -> None:
    """Write the depth and the confidence that stereo found for every input, and its points."""
    for view, depth in zip(inputs.views, inputs.depths, strict=True):
        write_depth(picture_path(run.path, "depth", view.name, "_stereo"), depth.depth)
        write_confidence(picture_path(run.path, "depth", view.name, "_confidence"), depth.confidence)
    if inputs.points is not None:
        write_points(run.stereo_points_file, inputs.points.positions, inputs.points.colors)


NOVEL_VIEWS = 4
"""Cameras between the inputs in which holes are looked for when no photo is held out."""


MENTIONED = 0.005
"""A larger share of holes than this is worth a sentence in the report."""


def write_coverage(run: RunFolder, scene: Scene, gaussians: Gaussians) -> dict[str, Any] | None:
    """Find the holes of novel views: those held out, or some between the inputs.

    Writes a mask per view, and returns what metrics.json says: the share of pixels that show anything. None for an
    object on a known background, around which there is nothing to cover.
    """
    if scene.background is not None:
        return None
    novel = {view.name: view.camera for view in scene.test_views}
    if not novel:
        inputs = [view.camera for view in scene.train_views]
        between = virtual_cameras(inputs, NOVEL_VIEWS, beyond=1.0, random=np.random.default_rng(0))
        novel = {f"between {index}": camera for index, camera in enumerate(between)}
    shares = {}
    for name, camera in novel.items():
        covered = coverage_mask(gaussians, camera).float()
        write_confidence(picture_path(run.path, "depth", name, "_coverage"), covered)
        shares[name] = round(float(covered.mean()), 5)
    return {"mean": round(float(np.mean(list(shares.values()))), 5), "per_image": shares}


def measure(run: RunFolder, scene: Scene, gaussians: Gaussians) -> dict[str, Any]:
    """Render all views, write pictures and confidence, and return what metrics.json says of them and of the scene."""
    background = None if scene.background is None else torch.tensor(scene.background)
    networks = load_metric_networks()

    def draw(camera: Camera) -> Rendered:
        picture = render(gaussians, camera, outputs=("color", "depth"), background=background)
        return Rendered(picture.color, picture.depth)

    def writer(renders: PictureKind, truth: PictureKind):
        def write(view: View, rendered: Rendered) -> None:
            write_image(picture_path(run.path, renders, view.name), rendered.image)
            write_image(picture_path(run.path, truth, view.name), view.image)
            if rendered.depth is not None:
                write_depth(picture_path(run.path, "depth", view.name), rendered.depth)

        return write

    shown = [view for view in scene.test_views if not view.withheld]
    write_test = writer("renders/test", "truth/test")
    test = evaluate_views(shown, draw, lpips=networks, on_view=write_test)
    write_train = writer("renders/train", "truth/train")
    train = evaluate_views(scene.train_views, draw, lpips=networks, on_view=write_train)
    cameras = [view.camera for view in scene.train_views]
    write_confidence_file(run.confidence_file, coverage_confidence(gaussians, cameras))
    coverage = write_coverage(run, scene, gaussians)
    notes = list(scene.notes)
    if coverage is not None and coverage["mean"] < 1 - MENTIONED:
        notes.append(
            f"{100 * (1 - coverage['mean']):.1f} % of the pixels of novel views show nothing, because no photo says "
            "what is there; the pictures depth/NAME_coverage.png show where"
        )
    return {
        "poses": scene.poses,
        "train": list(scene.train),
        "test": test.to_json(),
        "train_views": train.to_json(),
        "coverage": coverage,
        "warnings": list(scene.warnings),
        "notes": notes,
    }
