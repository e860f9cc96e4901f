"""Writing what a run leaves behind: cameras, pictures, measurements, report."""

from __future__ import annotations

import shlex
import sys
from datetime import date
from typing import Any

import torch

from recon.methods.inputs import Inputs
from recon.run_folder import Phases, RunFolder
from recon.scene import Scene, View
from recon.splats import Gaussians
from recon.splats.render import render


def write_cameras(run: RunFolder, scene: Scene) -> None:
    """Write cameras.json in nerfstudio's transforms layout."""
    from recon.datasets import write_transforms

    write_transforms(run.cameras_file, scene)


def write_results(
    run: RunFolder,
    scene: Scene,
    inputs: Inputs | None,
    gaussians: Gaussians,
    facts: dict[str, Any],
    phases: Phases,
) -> None:
    """Render and measure all views, then write pictures, metrics.json and report.html.

    Args:
        inputs: the stereo results, whose pictures are written too; None when only measuring again.
        facts: what metrics.json says beside the measurements.
    """
    from recon.evaluation import Rendered, describe_machine, evaluate_views, load_metric_networks
    from recon.evaluation.pictures import PictureKind, picture_path
    from recon.evaluation.report import write_report
    from recon.export.pictures import write_confidence, write_depth, write_image
    from recon.export.points import write_points
    from recon.splats.confidence import coverage_confidence
    from recon.splats.confidence_file import write_confidence_file

    background = None if scene.background is None else torch.tensor(scene.background)
    networks = load_metric_networks()

    def draw(camera) -> Rendered:
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
    if inputs is not None:
        for view, depth in zip(inputs.views, inputs.depths, strict=True):
            write_depth(picture_path(run.path, "depth", view.name, "_stereo"), depth.depth)
            write_confidence(picture_path(run.path, "depth", view.name, "_confidence"), depth.confidence)
        if inputs.points is not None:
            write_points(run.points_file, inputs.points.positions, inputs.points.colors)
    cameras = [view.camera for view in scene.train_views]
    write_confidence_file(run.confidence_file, coverage_confidence(gaussians, cameras))
    phases.end("evaluate")
    facts["seconds"]["evaluate"] = round(phases.seconds["evaluate"], 3)
    facts["seconds"]["total"] = round(sum(phases.seconds.values()), 3)
    run.write_metrics(
        {
            **facts,
            "poses": scene.poses,
            "train": list(scene.train),
            "test": test.to_json(),
            "train_views": train.to_json(),
            "warnings": list(scene.warnings),
            "hardware": describe_machine(),
            "date": date.today().isoformat(),
            "command": shlex.join(["recon", *sys.argv[1:]]),
        }
    )
    write_report(run.path)
