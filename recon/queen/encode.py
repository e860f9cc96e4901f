"""From a clip to a stream: frame 0, then one residual after the other, each written as soon as it is trained."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from recon import __version__
from recon.config import from_plain, merged, parse_overrides, read_yaml, to_plain
from recon.datasets.clips import Clip, open_clip
from recon.errors import ReconError
from recon.evaluation.hardware import describe_machine
from recon.evaluation.metrics import psnr, ssim
from recon.export.camera_paths import mean_up
from recon.files import LOCK_FILE, atomic_write, locked
from recon.methods.options import choose_device, configs_folder
from recon.methods.pipeline import say
from recon.queen.anchors import anchor_cells
from recon.queen.first_frame import FirstFrameSettings, first_frame
from recon.queen.preview import preview_of
from recon.queen.renewal import ChangedPixels, renewed
from recon.queen.settings import QueenSettings, RenewalSettings
from recon.queen.train_frame import Moment, train_frame
from recon.scene import Scene, evened_scene
from recon.splats.render import render
from recon.streaming import Residual, StreamOptions, StreamState, StreamWriter, state_of
from recon.streaming.manifest import MANIFEST, camera_entry
from recon.streaming.writer import JOURNAL
from recon.train import TrainingView, training_view

SETTINGS_FILE = "encoder.yaml"
"""What a stream was encoded with, for whoever resumes it."""
LOG_FILE = "encoding.jsonl"
"""One line per frame: quality on the held-out cameras, bytes, seconds."""
POLL_SECONDS = 0.5
"""A growing folder is looked at this often."""


@dataclass(frozen=True)
class EncodeOptions:
    """The command line of `recon stream encode`; see recon/cli/stream.py for what each means."""

    capture: Path
    output: Path
    preset: str = "quick"
    cameras: tuple[str, ...] | None = None
    test_cameras: tuple[str, ...] | None = None
    start: int = 0
    frames: int | None = None
    fps: float | None = None
    downscale: float | None = None
    max_size: int | None = None
    watch: bool = False
    patience: float = 60.0
    device: str = "auto"
    seed: int = 0
    settings: tuple[str, ...] = ()
    resume: bool = False
    overwrite: bool = False


@dataclass(frozen=True)
class EncoderSettings:
    """Everything but the clip that determines a stream."""

    first: FirstFrameSettings = field(default_factory=FirstFrameSettings)
    """Frame 0."""
    frame: QueenSettings = field(default_factory=QueenSettings)
    """The frames after it."""
    renewal: RenewalSettings = field(default_factory=RenewalSettings)
    """What has moved is reconstructed as frame 0 was, now and then."""
    segment_seconds: float = 0.5
    """Of frames in a file."""
    keyframe_seconds: float = 5.0
    """Between keyframes."""
    preview_gaussians: int = 20_000
    """Gaussians of the reduced keyframe that a page shows first; 0 for none."""
    seed: int = 0
    """Of all random numbers."""
    pixel_size: float = 0.0
    """World size of a pixel at the median depth, the unit of all steps; frame 0 tells it."""
    exposures: dict[str, list[float]] = field(default_factory=dict)
    """By camera, what is taken out of its pictures; frame 0 tells it."""


def encode(options: EncodeOptions) -> Path:
    """Encode a clip; returns the stream's folder.

    1. Frame 0: reconstruct it, round it to the stream's grids, write it as a keyframe.
    2. Each later frame: train the residual on the state that players have, write it, look at the held-out cameras.
    3. Every second or so, what has moved since is reconstructed as frame 0 was, and replaces what it had become.

    Raises:
        ReconError: for any problem with the clip, the settings or the folder.
    """
    settings, clip = _settings(options), _open(options)
    device = torch.device(choose_device(options.device))  # type: ignore[arg-type]
    for warning in clip.warnings:
        say(f"warning: {warning}")
    with locked(Path(options.output)):
        return _encode(options, settings, clip, device)


def _encode(options: EncodeOptions, settings: EncoderSettings, clip: Clip, device: torch.device) -> Path:
    folder = Path(options.output)
    resumed = options.resume and (folder / MANIFEST).exists()
    if resumed:
        settings = _stored_settings(options, folder)
    stream = StreamOptions(
        fps=clip.fps,
        segment_seconds=settings.segment_seconds,
        keyframe_seconds=settings.keyframe_seconds,
        title=clip.name,
    )
    if resumed:
        writer = StreamWriter.resume(folder, stream)
        say(f"{folder} has frames 0 to {writer.state.frame}; going on after these")
        before = evened_scene(clip.scene(writer.state.frame), settings.exposures)
    else:
        writer, settings, before = _begin(options, settings, clip, stream, device)
    log = _Log(folder)
    renewal = _Renewal(settings, options.capture, clip, device, writer.state.frame)
    for moment in _moments(clip, options, writer.state.frame + 1):
        scene = evened_scene(moment, settings.exposures)
        for warning in scene.warnings:
            say(f"warning: {warning}")
        started, processor = time.perf_counter(), time.process_time()
        pair = moment_pair(before, scene, device)
        frame = writer.state.frame + 1
        generator = torch.Generator().manual_seed(settings.seed * 1_000_003 + frame)
        residual = train_frame(writer.state, *pair, settings.frame, settings.pixel_size, generator)
        residual = renewal.at(frame, scene, writer.state, residual, generator)
        record = writer.append(residual)
        log.add(
            writer.state, scene, len(record), time.perf_counter() - started, time.process_time() - processor
        )
        before = scene
    writer.close()
    say(f"{folder} is a stream of {writer.manifest.frames} frames; look at it with: recon view {folder}")
    return folder


def _begin(
    options: EncodeOptions,
    settings: EncoderSettings,
    clip: Clip,
    stream: StreamOptions,
    device: torch.device,
) -> tuple[StreamWriter, EncoderSettings, Scene]:
    """Write frame 0; returns the writer, the settings with what only frame 0 could tell, and the moment."""
    folder = Path(options.output)
    if any(path.name != LOCK_FILE for path in folder.iterdir()):
        if (folder / MANIFEST).exists() and not options.overwrite:
            raise ReconError(
                f"{folder} already holds a stream: go on with --resume, replace it with --overwrite, or choose another"
            )
        if options.overwrite or options.resume:
            _clear(folder)
        else:
            raise ReconError(f"{folder} is not empty: choose another folder")
    started, processor = time.perf_counter(), time.process_time()
    scene = next(_moments(clip, options, 0), None)
    if scene is None:
        raise ReconError(f"{options.capture} has no frame to begin with")
    say(f"{len(scene.train)} training cameras, {len(scene.test)} held out")
    first = first_frame(Path(options.capture), scene, settings.first, settings.seed, device)
    settings = replace(settings, pixel_size=first.pixel_size, exposures=dict(first.exposures))
    if first.exposures:
        say(
            "the cameras are exposed differently; their pictures are evened out, those of held-out cameras are not"
        )
    anchors = None
    if settings.frame.anchors:
        anchors = anchor_cells(first.gaussians.means.numpy(), settings.frame.anchor_pixels * first.pixel_size)
    state, _ = state_of(first.gaussians, anchors=anchors)
    stream.near = scene.train_views[0].camera.near
    stream.up = mean_up([view.camera for view in scene.train_views]).tolist()
    stream.cameras = [
        camera_entry(number, name, "train" if name in scene.train else "test", scene.view(name).camera)
        for number, name in enumerate((*scene.train, *scene.test))
    ]
    with atomic_write(folder / SETTINGS_FILE) as file:
        content = {"version": __version__, **to_plain(settings)}
        file.write(yaml.safe_dump(content, sort_keys=False).encode())
    preview = None
    if 0 < settings.preview_gaussians < len(state):
        preview = preview_of(state, settings.preview_gaussians)
    writer = StreamWriter.create(folder, state, stream, preview)
    key = next(file for file in writer.manifest.keyframes if not file.preview)
    seconds = time.perf_counter() - started, time.process_time() - processor
    _Log(folder).add(state, scene, key.bytes, *seconds)
    return writer, settings, evened_scene(scene, settings.exposures)


class _Renewal:
    """Keeps count of what has changed since the last renewal, and renews when it is time."""

    def __init__(
        self, settings: EncoderSettings, capture: Path, clip: Clip, device: torch.device, frame: int
    ) -> None:
        """Start after `frame`, which need not be one that was renewed: then the frames since are looked at again."""
        self._settings = settings
        self._capture = Path(capture)
        self._device = device
        seconds = settings.renewal.seconds
        self._every = max(1, round(seconds * clip.fps)) if seconds > 0 else 0
        if self._every:
            last = frame - frame % self._every
            self._changed = ChangedPixels(self._views(self._evened(clip, last)), settings.renewal)
            for missed in range(last + 1, frame + 1):
                self._changed.add(self._views(self._evened(clip, missed)))

    def at(
        self, frame: int, scene: Scene, state: StreamState, residual: Residual, generator: torch.Generator
    ) -> Residual:
        """Return the residual of a frame, with what has changed renewed when it is time."""
        if not self._every:
            return residual
        views = self._views(scene)
        self._changed.add(views)
        if frame % self._every:
            return residual
        settings = self._settings
        first = replace(settings.first, settings=(*settings.first.settings, "stereo.exposures=false"))
        fresh = first_frame(self._capture, scene, first, settings.seed, self._device).gaussians
        masks = self._changed.masks()
        self._changed = ChangedPixels(views, settings.renewal)
        now = Moment(views, _background(scene, self._device))
        return renewed(
            state,
            residual,
            fresh.to(self._device),
            now,
            masks,
            settings.renewal,
            settings.pixel_size,
            generator,
        )

    def _evened(self, clip: Clip, frame: int) -> Scene:
        return evened_scene(clip.scene(frame), self._settings.exposures)

    def _views(self, scene: Scene) -> list[TrainingView]:
        return [training_view(scene.view(name), device=self._device) for name in scene.train]


class _Log:
    """Writes and says how each frame went."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOG_FILE

    def add(self, state: StreamState, scene: Scene, size: int, seconds: float, processor: float) -> None:
        background = None if scene.background is None else torch.tensor(scene.background)
        gaussians = state.gaussians()
        quality: dict[str, tuple[float, float | None]] = {}
        for view in scene.test_views:
            picture = render(gaussians, view.camera, background=background).color.clamp(0, 1).numpy()
            quality[view.name] = psnr(picture, view.image), ssim(picture, view.image)
        mean = float(np.mean([one for one, _ in quality.values()])) if quality else None
        row: dict[str, Any] = {
            "frame": state.frame,
            "psnr": mean,
            "ssim": float(np.mean([two for _, two in quality.values() if two is not None]))
            if quality
            else None,
            "psnr_per_camera": {name: one for name, (one, _) in quality.items()},
            "bytes": size,
            "gaussians": len(state),
            "seconds": round(seconds, 2),
            "processor_seconds": round(processor, 2),
        }
        if state.frame == 0:
            row |= {"version": __version__, "hardware": describe_machine(), "date": date.today().isoformat()}
        with open(self._path, "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        shown = "" if mean is None else f"{mean:.2f} dB held out, "
        say(f"frame {state.frame}: {shown}{size / 1e3:.1f} kB, {seconds:.1f} s, {len(state)} Gaussians")


def _settings(options: EncodeOptions) -> EncoderSettings:
    """Lay the preset and the person's own settings over the defaults."""
    presets = read_yaml(configs_folder() / "streams" / "queen.yaml")
    if options.preset not in presets:
        raise ReconError(f"there is no preset {options.preset!r}; there are {', '.join(presets)}")
    plain = merged(presets[options.preset] or {}, parse_overrides(options.settings))
    return replace(from_plain(EncoderSettings, plain, "encoder"), seed=options.seed)


def _stored_settings(options: EncodeOptions, folder: Path) -> EncoderSettings:
    """Return what a stream was begun with; other settings would be ignored, so they are refused."""
    stored = read_yaml(folder / SETTINGS_FILE)
    stored.pop("version", None)
    if merged(stored, parse_overrides(options.settings)) != stored:
        raise ReconError(
            f"{folder} was begun with other settings, and --resume goes on with those: leave --set out"
        )
    return from_plain(EncoderSettings, stored, str(folder / SETTINGS_FILE))


def _open(options: EncodeOptions) -> Clip:
    return open_clip(
        options.capture,
        cameras=options.cameras,
        test_cameras=options.test_cameras,
        start=options.start,
        frames=options.frames,
        fps=options.fps,
        downscale=options.downscale,
        max_size=options.max_size,
        growing=options.watch,
    )


def _moments(clip: Clip, options: EncodeOptions, frame: int) -> Iterator[Scene]:
    """Yield the clip's moments from a frame on; where it grows, wait for the next until none comes for a while."""
    seen = time.monotonic()
    while options.frames is None or frame < options.frames:
        if frame < len(clip):
            yield clip.scene(frame)
            frame, seen = frame + 1, time.monotonic()
            continue
        if not options.watch:
            return
        if time.monotonic() - seen > options.patience:
            say(f"no new frame for {options.patience:g} s: the stream ends here")
            return
        time.sleep(POLL_SECONDS)
        clip.refresh()


def moment_pair(before: Scene, now: Scene, device: torch.device) -> tuple[Moment, Moment]:
    """Return what the cameras that have both moments saw."""
    shared = [name for name in now.train if name in before.train]
    if not shared:
        raise ReconError("no training camera has both this frame and the one before it")
    background = _background(now, device)

    def moment(scene: Scene) -> Moment:
        return Moment([training_view(scene.view(name), device=device) for name in shared], background)

    return moment(before), moment(now)


def _background(scene: Scene, device: torch.device) -> torch.Tensor | None:
    return None if scene.background is None else torch.tensor(scene.background, device=device)


def _clear(folder: Path) -> None:
    """Remove what an encoder has written; anything else stays, and stops it."""
    paths = [path for path in folder.iterdir() if path.name != LOCK_FILE]
    for path in paths:
        known = path.name in (MANIFEST, SETTINGS_FILE, LOG_FILE, JOURNAL) or path.suffix == ".rst"
        if not known or path.is_dir():
            raise ReconError(
                f"{folder} holds {path.name}, which is no part of a stream: choose another folder"
            )
    for path in paths:
        path.unlink()
