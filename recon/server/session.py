"""What there is to see: a finished run, a splat file, a stream, or a training in progress."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from recon import __version__
from recon.datasets import read_cameras
from recon.errors import ReconError
from recon.evaluation.pictures import PictureKind, picture_path, read_picture
from recon.export.camera_paths import mean_up
from recon.export.points import encode_points
from recon.run_folder import RunFolder
from recon.scene import Camera, Pixels, Scene, View
from recon.server.file_table import FileTable
from recon.server.pictures import SplatPictures
from recon.splats import Gaussians
from recon.splats.confidence import coverage_confidence
from recon.splats.confidence_file import read_confidence_file
from recon.splats.formats import read_splats
from recon.stereo import PointCloud
from recon.streaming.manifest import MANIFEST, camera_entry

PROTOCOL = 1

NEAR = 0.01
"""The rasterizer's near plane, where no cameras say more."""

_UP = (0.0, -1.0, 0.0)
"""Where no cameras say what is up: y points down in the usual splat files."""


@dataclass(frozen=True, eq=False)
class Session:
    """What a page is told, and what stands behind it.

    Attributes:
        description: the answer to GET api/session.
        files: what the ids in it stand for.
        pictures: draws pictures on request; None when that is not possible (yet).
    """

    description: dict[str, Any]
    files: FileTable = field(default_factory=FileTable)
    pictures: SplatPictures | None = None


class Stage:
    """The session that is shown now; a live training replaces it as it goes on."""

    def __init__(self, session: Session) -> None:
        self.session = session


def open_session(path: Path) -> Session:
    """Open a run folder, a stream's folder or a splat file.

    Raises:
        ReconError: when it is none of them, or is damaged.
    """
    path = Path(path)
    if is_stream(path):
        from recon.server.stream_session import stream_session

        return stream_session(path)
    if path.is_dir():
        return run_session(path)
    if not path.exists():
        raise ReconError(
            f"there is nothing at {path}; give a run folder, a stream's folder, or a .ply, .spz or .splat file"
        )
    return splat_session(path)


def is_stream(path: Path) -> bool:
    """Tell whether a folder holds a stream."""
    return (Path(path) / MANIFEST).is_file()


def splat_session(path: Path) -> Session:
    """Show a .ply, .spz or .splat file."""
    gaussians = read_splats(path)
    real = path.resolve()  # a link that the person at the keyboard names is theirs to follow
    files = FileTable(real.parent)
    description = {
        **empty_description(path.name, "splat"),
        "splat": _splat(files, real, path.suffix, gaussians),
        "pictures": True,
    }
    return Session(description, files, SplatPictures(gaussians))


def run_session(path: Path, *, live: bool = False) -> Session:
    """Show a finished run.

    Args:
        live: a live feed stands beside it, because the run has just been made.

    Raises:
        ReconError: when the folder is not a run, or the run did not finish.
    """
    run = RunFolder.open(path)
    if not run.splat_file.exists():
        raise ReconError(f"{path} has no splat.ply: the run did not finish; continue it with --resume")
    gaussians = read_splats(run.splat_file)
    scene = read_cameras(run.cameras_file)
    metrics = run.read_metrics() if run.metrics_file.exists() else {}
    files = FileTable(run.path)
    views = [*scene.train_views, *scene.test_views]

    def listed(number: int, view: View) -> dict[str, str | None]:
        role = _role(scene, view)
        truth: PictureKind = "truth/train" if role == "train" else "truth/test"
        renders: PictureKind = "renders/train" if role == "train" else "renders/test"
        return {
            "photo": files.add_file(f"photo-c{number}", picture_path(run.path, truth, view.name)),
            "picture": files.add_file(f"render-c{number}", picture_path(run.path, renders, view.name)),
        }

    description = {
        **empty_description(Path(path).resolve().name, "run"),
        "splat": _splat(files, run.splat_file, ".ply", gaussians),
        "cameras": [
            _camera(number, view, _role(scene, view), listed(number, view), _measured(metrics, scene, view))
            for number, view in enumerate(views)
        ],
        "layers": {
            "points": files.add_file("points", run.stereo_points_file),
            "mesh": files.add_file("mesh", run.mesh_file),
        },
        "confidence": files.add_made("confidence", _confidence(run, gaussians, scene)),
        "background": None if scene.background is None else list(scene.background),
        "up": _up([view.camera for view in views]),
        "near": _near(scene),
        "poses": scene.poses,
        "pictures": True,
        "live": live,
        "run_folder": str(path),
    }
    photos = partial(_input_photos, run, scene)
    pictures = SplatPictures(gaussians, scene.background, photos, near=_near(scene))
    return Session(description, files, pictures)


def live_session(
    run: RunFolder | None, scene: Scene | None = None, points: PointCloud | None = None
) -> Session:
    """Show a reconstruction that is under way: its cameras, input photos and stereo points, as they become known.

    Held-out photos are not shown, nor opened: nothing may look at them before the training is over.
    """
    description = {**empty_description("" if run is None else run.path.resolve().name, "live"), "live": True}
    files = FileTable()
    if run is not None:
        description["run_folder"] = str(run.path)
    if scene is not None:
        cameras = []
        for number, view in enumerate([*scene.train_views, *scene.test_views]):
            role = _role(scene, view)
            photo = None
            if role == "train":
                photo = files.add_made(f"photo-c{number}", _png_of(view), ".png")
            cameras.append(_camera(number, view, role, {"photo": photo, "picture": None}, {}))
        description.update(
            cameras=cameras,
            background=None if scene.background is None else list(scene.background),
            up=_up([view.camera for view in scene.views]),
            near=_near(scene),
            poses=scene.poses,
        )
    if points is not None and len(points):
        content = encode_points(points.positions, points.colors)
        description["layers"] = {"points": files.add_made("points", lambda: content), "mesh": None}
    return Session(description, files)


def empty_description(title: str, kind: str) -> dict[str, Any]:
    """Return the answer to GET api/session of something that shows nothing."""
    return {
        "protocol": PROTOCOL,
        "version": __version__,
        "title": title,
        "kind": kind,
        "splat": None,
        "stream": None,
        "cameras": [],
        "layers": {"points": None, "mesh": None},
        "confidence": None,
        "background": None,
        "up": list(_UP),
        "near": NEAR,
        "poses": None,
        "pictures": False,
        "live": False,
        "run_folder": None,
    }


def _splat(files: FileTable, path: Path, suffix: str, gaussians: Gaussians) -> dict[str, Any]:
    name = files.add_file("splat", path)
    if name is None:
        raise ReconError(f"{path} is not an ordinary file; copy the splat there instead of linking it")
    return {
        "file": name,
        "format": suffix.lower().removeprefix("."),
        "bytes": path.stat().st_size,
        "gaussians": len(gaussians),
        "sh_degree": gaussians.sh_degree,
    }


def _camera(
    number: int,
    view: View,
    role: str,
    pictures: Mapping[str, str | None],
    measured: Mapping[str, float | None],
) -> dict[str, Any]:
    return {
        **camera_entry(number, view.name, role, view.camera),
        **pictures,
        "psnr": measured.get("psnr"),
        "ssim": measured.get("ssim"),
    }


def _role(scene: Scene, view: View) -> str:
    return "train" if view.name in scene.train else "test"


def _measured(metrics: dict[str, Any], scene: Scene, view: View) -> dict[str, float | None]:
    block = metrics.get("train_views" if view.name in scene.train else "test")
    per_image = block.get("per_image") if isinstance(block, dict) else None
    values = per_image.get(view.name) if isinstance(per_image, dict) else None
    return values if isinstance(values, dict) else {}


def _near(scene: Scene) -> float:
    """Return the near plane, which is the same for all views of a scene."""
    return scene.views[0].camera.near if scene.views else NEAR


def _up(cameras: Sequence[Camera]) -> list[float]:
    try:
        return mean_up(cameras).tolist() if cameras else list(_UP)
    except ReconError:
        return list(_UP)


def _confidence(run: RunFolder, gaussians: Gaussians, scene: Scene) -> Callable[[], bytes]:
    """Return what serves the run's confidence; it is computed at the first request where the run has none."""
    content: list[bytes] = []

    def make() -> bytes:
        if not content:
            confidence = None
            if run.confidence_file.exists():
                confidence = read_confidence_file(run.confidence_file)
            if confidence is None or len(confidence) != len(
                gaussians
            ):  # an older run, or another splat put there
                confidence = coverage_confidence(gaussians, [view.camera for view in scene.train_views])
            content.append(confidence.numpy().astype("<f4").tobytes())
        return content[0]

    return make


def _input_photos(run: RunFolder, scene: Scene) -> list[View]:
    """Return the input views with the photos that the run keeps of them."""
    photos = []
    for view in scene.train_views:
        path = picture_path(run.path, "truth/train", view.name)
        if path.is_file():
            photos.append(View(view.name, view.camera, partial(_read_photo, path)))
    return photos


def _read_photo(path: Path) -> Pixels:
    return Pixels(np.asarray(read_picture(path), np.float32) / 255)


def _png_of(view: View) -> Callable[[], bytes]:
    def make() -> bytes:
        from PIL import Image

        stream = io.BytesIO()
        pixels = np.rint(np.clip(view.image, 0, 1) * 255).astype(np.uint8)
        Image.fromarray(pixels).save(stream, format="PNG", compress_level=1)
        return stream.getvalue()

    return make
