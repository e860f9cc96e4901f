"""Rendering a run's test views at the size that the protocol asks for."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import torch

from recon.datasets.spare import picture_name
from recon.evaluation.pictures import picture_path
from recon.export.pictures import write_image
from recon.files import read_json, write_json
from recon.methods.open_inputs import open_inputs
from recon.methods.options import RunSettings
from recon.run_folder import RunFolder
from recon.splats.formats import read_splats
from recon.splats.render import render
from recon.submission.spare import SIZE, AskedScene
from recon.submission.write import RenderedScene


def render_scene(scene: AskedScene, settings: RunSettings, run: RunFolder) -> RenderedScene:
    """Render every test view of a finished run, as `recon evaluate` renders them, at full size.

    The pictures stay in the run folder with a note of the splat that they show, so that they are rendered once.

    Raises:
        ReconError: when the run, its photos or its calibration cannot be read.
    """
    folder = run.path / "submission"
    files = {name: _file(folder, name) for name in scene.pictures}
    note = folder / "rendered.json"
    splat = hashlib.sha256(run.splat_file.read_bytes()).hexdigest()
    known = _read_note(note)
    seconds = known.get("seconds", {}) if known.get("splat") == splat else {}
    if not all(name in seconds and file.is_file() for name, file in files.items()):
        seconds = _render(scene, settings, run, files)
        write_json(note, {"splat": splat, "seconds": seconds})
    return RenderedScene(scene, files, {name: seconds[name] for name in files}, run.read_metrics())


def _render(
    scene: AskedScene, settings: RunSettings, run: RunFolder, files: dict[str, Path]
) -> dict[str, float]:
    opened = open_inputs(settings, run)
    gaussians = read_splats(run.splat_file)
    background = None if opened.background is None else torch.tensor(opened.background)
    seconds = {}
    for view in scene.test_views:
        name = picture_name(view, scene.half)
        camera = opened.view(name).camera.resized(*SIZE)
        started = time.perf_counter()
        color = render(gaussians, camera, background=background).color
        seconds[name] = round(time.perf_counter() - started, 4)
        write_image(files[name], color)
    return seconds


def _file(folder: Path, name: str) -> Path:
    """Return where a render is kept: not under the data set's own name, lest it is read as one of its photos."""
    return folder / picture_path(Path(), "renders/test", name).name


def _read_note(note: Path) -> dict:
    known = read_json(note) if note.is_file() else {}
    return known if isinstance(known, dict) else {}
