"""The main job: photos in, a run folder with a splat, measurements and a report out."""

from __future__ import annotations

import platform
import resource
import shlex
import sys
from datetime import date
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from recon import __version__
from recon.config import config_hash, to_plain
from recon.errors import ReconError
from recon.evaluation import describe_machine, write_report
from recon.methods.inputs import Inputs
from recon.methods.observer import Observer
from recon.methods.open_inputs import open_inputs
from recon.methods.options import (
    METHODS,
    ReconstructOptions,
    RunSettings,
    read_settings,
    refuse_changes,
    resolve,
)
from recon.methods.progress import shown_steps
from recon.methods.results import (
    evened_as_stored,
    measure,
    write_cameras,
    write_exposures,
    write_stereo_results,
)
from recon.methods.run_training import train
from recon.methods.stereo_inputs import stereo_inputs
from recon.run_folder import Phases, RunFolder
from recon.scene import Scene
from recon.splats import Gaussians
from recon.splats.formats import read_splats, write_splats


def reconstruct(options: ReconstructOptions, observer: Observer | None = None) -> RunFolder:
    """Reconstruct a scene from photos and measure it on the held-out ones.

    Args:
        observer: is told how it goes, and may watch and end the training.

    Raises:
        ReconError: for any problem with the photos, their poses, the settings or the output folder.
    """
    observer = observer or Observer()
    run, settings = _open_run(options)
    if options.resume and run.metrics_file.exists():
        if not run.report_file.exists():  # it was killed while it wrote its last file
            write_report(run.path)
        say(f"{run.path} is finished already; its report is {run.report_file}")
        observer.finished(run)
        return run
    phases = Phases(run)
    device = torch.device(settings.device)

    phases.start()
    observer.phase("poses")
    scene = open_inputs(settings, run)
    if len(scene.train) < 2:
        raise ReconError(
            f"{settings.photos} gives {len(scene.train)} input photo; depth needs at least two from different places"
        )
    write_cameras(run, scene)
    phases.end("poses")
    for warning in scene.warnings:
        run.log("warning", text=warning)
        say(f"warning: {warning}")
    for note in scene.notes:
        run.log("note", text=note)
        say(note)
    say(f"{len(scene.train)} input views, {len(scene.test)} held out; poses {scene.poses}")
    observer.opened(run, scene)
    observer.phase("stereo")

    with shown_steps("stereo depth") as show:
        inputs = stereo_inputs(
            scene.train_views,
            settings.stereo_config,
            bounds=scene.bounds,
            background=scene.background,
            progress=lambda done, total: show(f"sweep {done} of {total}", done / total),
        )
    phases.end("stereo")
    found = 0 if inputs.points is None else len(inputs.points)
    say(f"stereo found {found} points in {phases.seconds['stereo']:.1f} s")
    if inputs.exposures:
        write_exposures(run, inputs.exposures)
        scene = evened_as_stored(run, scene)
        run.log("note", text=scene.notes[-1])
        say(scene.notes[-1])
    observer.stereo(inputs)
    observer.phase("train")

    trainer = method_module(settings.method).compose(inputs, settings.method_config, settings.seed, device)
    observer.training(trainer)
    train(trainer, run, settings, resume=options.resume)
    gaussians = trainer.gaussians.gaussians.detach().to("cpu")
    gaussians = finished(settings.method, gaussians, inputs, settings.method_config)
    write_splats(run.splat_file, gaussians)
    phases.end("train", seconds=trainer.seconds)

    observer.phase("evaluate")
    stopped = {"stopped_early": True} if trainer.stopped_early else {}
    if stopped:
        scene = _with_stop_warning(scene, settings, trainer.iteration)
    write_stereo_results(run, inputs)
    measured = measure(run, scene, gaussians, settings.masked)
    phases.end("evaluate")
    run.write_metrics({**_facts(settings, phases, trainer.iteration, len(gaussians)), **stopped, **measured})
    write_report(run.path)
    say(f"report: {run.report_file}")
    observer.finished(run)
    return run


def evaluate(path: Path) -> RunFolder:
    """Measure a finished run again from its splat and the photos it names.

    What metrics.json says of how the run was made (command, date, machine, times, memory) stays as it is; only the
    measurements are new.
    """
    run = RunFolder.open(path)
    settings = read_settings(run)
    if not run.splat_file.exists():
        raise ReconError(f"{path} has no splat.ply: the run did not finish; continue it with --resume")
    facts = run.read_metrics() if run.metrics_file.exists() else _known_facts(settings)
    scene = evened_as_stored(run, open_inputs(settings, run))
    if facts.get("stopped_early"):
        scene = _with_stop_warning(scene, settings, facts.get("iterations", 0))
    run.write_metrics({**facts, **measure(run, scene, read_splats(run.splat_file), settings.masked)})
    write_report(run.path)
    say(f"report: {run.report_file}")
    return run


def say(text: str) -> None:
    """Tell the person at the keyboard how far things are."""
    print(text, file=sys.stderr, flush=True)


def _open_run(options: ReconstructOptions) -> tuple[RunFolder, RunSettings]:
    if options.resume:
        run = RunFolder.open(options.output)
        settings = read_settings(run)
        refuse_changes(options, settings)
        return run, settings
    settings = resolve(options)
    run = RunFolder.create(options.output, overwrite=options.overwrite)
    run.write_config({"version": __version__, **to_plain(settings)})
    return run, settings


def method_module(name: str):
    if name not in METHODS:
        raise ReconError(f"there is no method {name!r}; there are {', '.join(METHODS)}")
    return import_module(METHODS[name][0])


def finished(name: str, gaussians: Gaussians, inputs: Inputs, config: Any) -> Gaussians:
    """Return what a method makes of its trained Gaussians: most leave them as they are."""
    finish = getattr(method_module(name), "finish", None)
    return gaussians if finish is None else finish(gaussians, inputs, config)


def _with_stop_warning(scene: Scene, settings: RunSettings, iterations: int) -> Scene:
    """Say to the reader of the report that a person ended the training."""
    planned = settings.method_config.train.iterations
    return scene.with_warnings(f"The training was stopped early, after {iterations} of {planned} iterations.")


def _facts(settings: RunSettings, phases: Phases, iterations: int, gaussians: int) -> dict:
    """Return what metrics.json says of how a run was made."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = {**phases.seconds, "total": sum(phases.seconds.values())}
    return {
        **_known_facts(settings),
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
        "iterations": iterations,
        "gaussians": gaussians,
        "peak_memory_mb": round(peak / (1 << 20 if platform.system() == "Darwin" else 1 << 10), 1),
        "version": __version__,
        "hardware": describe_machine(),
        "date": date.today().isoformat(),
        "command": shlex.join(["recon", *sys.argv[1:]]),
    }


def _known_facts(settings: RunSettings) -> dict:
    """Return what the settings alone say of a run: all that is known of one that was killed before its end."""
    return {
        "method": settings.method,
        "preset": settings.preset,
        "seed": settings.seed,
        "device": settings.device,
        "config_hash": config_hash(settings),
    }
