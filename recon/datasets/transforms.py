"""transforms.json scenes, as nerfstudio and instant-ngp write them.

Source: nerfstudio documentation, data conventions; instant-ngp documentation, data set format. Cameras are in OpenGL
axes (x right, y up, z backwards), camera to world.
"""

import math
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from recon.datasets.decode import SUFFIXES, read_header, shown
from recon.datasets.posed_view import WHITE, posed_view
from recon.datasets.resize import PictureSize
from recon.datasets.split import Listing, Split, SplitRule, match_names, own_split, read_object
from recon.datasets.undistort import Distortion
from recon.errors import ReconError
from recon.scene import Camera, Scene, View, invert_rigid

OPENGL_AXES = np.diag([1.0, -1.0, -1.0, 1.0])
"""Turns camera axes between OpenGL's and OpenCV's (its own inverse)."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One entry of a transforms file whose picture exists.

    Attributes:
        listed: the picture's path as the file states it, without a leading "./".
        path: the picture.
        mask: its mask, if the file names one that exists.
        camera: for the picture size that the file states, or the picture's own.
        distortion: of the lens.
    """

    listed: str
    path: Path
    mask: Path | None
    camera: Camera
    distortion: Distortion


def read_transforms(path: Path, size: PictureSize | None = None, rule: SplitRule = own_split) -> Scene:
    """Read a scene from a transforms.json file, or from the folder that holds it.

    Listed pictures that do not exist are left out with a warning. The file's own `train_filenames` and
    `test_filenames` are the default split.

    Raises:
        ReconError: when the file is malformed, states unusable cameras, or none of its pictures exist.
    """
    file = path / "transforms.json" if path.is_dir() else path
    content = read_object(file)
    frames, missing = read_frames(file, content)
    names = unique_names([frame.listed for frame in frames])
    views = tuple(frame_view(frame, name, size) for frame, name in zip(frames, names, strict=True))
    views = tuple(sorted(views, key=lambda view: view.name))
    split = rule(
        Listing.counted([view.name for view in views], _stated_split(content, frames, names, missing))
    )
    return Scene(
        file.resolve().parent.name, views, split.train, split.test, warnings=missing_warning(file, missing)
    )


def read_frames(file: Path, content: dict[str, Any]) -> tuple[list[Frame], list[str]]:
    """Return the frames whose pictures exist, and the listed paths of the others.

    Raises:
        ReconError: when the file lists no frames, a camera cannot be used, or no picture exists.
    """
    entries = content.get("frames")
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise ReconError(f'{shown(file)} has no list of frames: expected "frames": [{{"file_path": …}}, …]')
    frames, missing = [], []
    for number, entry in enumerate(entries):
        listed = entry.get("file_path")
        if not isinstance(listed, str) or not listed or "\0" in listed:
            raise ReconError(f"{shown(file)}: frame {number} has no file_path")
        listed = listed.replace("\\", "/").removeprefix("./")
        picture = _existing(file.parent / listed)
        if picture is None:
            missing.append(listed)
            continue
        if PurePosixPath(listed).suffix.lower() not in SUFFIXES:
            listed += picture.suffix
        try:
            stated = _with_size({**content, **entry}, picture)
            camera, distortion = stated_camera(stated), stated_distortion(stated)
        except ReconError as error:
            raise ReconError(f"{shown(file)}, frame {listed}: {error}") from error
        mask = entry.get("mask_path")
        mask_file = _existing(file.parent / mask) if isinstance(mask, str) and mask else None
        frames.append(Frame(listed, picture, mask_file, camera, distortion))
    if not frames:
        raise ReconError(
            f"{shown(file)} lists {len(entries)} pictures, but none of them exists, e.g. "
            f"{shown(file.parent / missing[0])}"
        )
    return frames, missing


def stated_camera(stated: dict[str, Any]) -> Camera:
    """Return the camera of a frame's entries (with the file's global ones beneath).

    Raises:
        ReconError: when an entry is missing, is not a number, or makes no camera.
    """
    width, height = _number(stated.get("w"), "w"), _number(stated.get("h"), "h")
    fx, fy = _focal_lengths(stated, width, height)
    return Camera(
        invert_rigid(_matrix(stated.get("transform_matrix")) @ OPENGL_AXES),
        fx,
        fy,
        _number(stated.get("cx", width / 2), "cx"),
        _number(stated.get("cy", height / 2), "cy"),
        round(width),
        round(height),
    )


def stated_distortion(stated: dict[str, Any]) -> Distortion:
    """Return the lens distortion of a frame's entries.

    Raises:
        ReconError: when the camera model is not supported.
    """
    model = stated.get("camera_model", "OPENCV")
    fisheye = model == "OPENCV_FISHEYE" or bool(stated.get("is_fisheye"))
    if not fisheye and model not in (
        "OPENCV",
        "PINHOLE",
        "SIMPLE_PINHOLE",
        "SIMPLE_RADIAL",
        "RADIAL",
        "FULL_OPENCV",
    ):
        raise ReconError(
            f"camera model {model} is not supported: undistort the pictures first, for example with "
            "`colmap image_undistorter`"
        )
    if fisheye:
        return Distortion(
            "fisheye", tuple(_number(stated.get(key, 0.0), key) for key in ("k1", "k2", "k3", "k4"))
        )
    keys = ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")
    return Distortion("perspective", tuple(_number(stated.get(key, 0.0), key) for key in keys))


def frame_view(
    frame: Frame, name: str, size: PictureSize | None, background: tuple[float, float, float] = WHITE
) -> View:
    """Return a frame as a view."""
    return posed_view(
        name,
        frame.path,
        frame.camera,
        size or PictureSize(),
        distortion=frame.distortion,
        mask=frame.mask,
        background=background,
    )


def missing_warning(file: Path, missing: list[str]) -> tuple[str, ...]:
    """Say which listed pictures are absent, as a tuple of no or one sentence."""
    if not missing:
        return ()
    some = ", ".join(missing[:5]) + (", …" if len(missing) > 5 else "")
    return (f"{shown(file.name)} lists {len(missing)} pictures that do not exist; they are left out: {some}",)


def unique_names(listed: list[str]) -> list[str]:
    """Return the pictures' file names, or their whole paths where file names repeat.

    Raises:
        ReconError: when a picture is listed twice.
    """
    if len(set(listed)) != len(listed):
        twice = next(path for path in listed if listed.count(path) > 1)
        raise ReconError(f"{twice} is listed twice: every picture may have one camera only")
    short = [PurePosixPath(path).name for path in listed]
    if len(set(short)) == len(short):
        return short
    return [
        "/".join(part for part in PurePosixPath(path).parts if part not in ("..", "/")) for path in listed
    ]


def _existing(path: Path) -> Path | None:
    """Find the file; Blender scenes leave its ending out."""
    if path.is_file():
        return path
    candidates = (path.with_name(path.name + suffix) for suffix in (".png", ".jpg", ".jpeg", ".webp"))
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def _with_size(stated: dict[str, Any], picture: Path) -> dict[str, Any]:
    """Add the picture's own size where the file states none."""
    if "w" in stated and "h" in stated:
        return stated
    header = read_header(picture)
    return {**stated, "w": header.width, "h": header.height}


def _focal_lengths(stated: dict[str, Any], width: float, height: float) -> tuple[float, float]:
    fx = stated.get("fl_x")
    fy = stated.get("fl_y")
    if fx is None and stated.get("camera_angle_x") is not None:
        fx = 0.5 * width / math.tan(0.5 * _number(stated["camera_angle_x"], "camera_angle_x"))
        if fy is None and stated.get("camera_angle_y") is not None:
            fy = 0.5 * height / math.tan(0.5 * _number(stated["camera_angle_y"], "camera_angle_y"))
    if fx is None:
        raise ReconError("no focal length: expected fl_x (pixels) or camera_angle_x (radians)")
    return _number(fx, "fl_x"), _number(fx if fy is None else fy, "fl_y")


def _matrix(value: Any) -> np.ndarray:
    try:
        matrix = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        matrix = np.empty(0)
    if matrix.shape == (3, 4):
        matrix = np.vstack([matrix, [0, 0, 0, 1]])
    if matrix.shape != (4, 4):
        raise ReconError("expected a transform_matrix of 4 rows of 4 numbers")
    return matrix


def _number(value: Any, key: str) -> float:
    if not isinstance(value, bool) and isinstance(value, int | float) and abs(value) < 1e30:
        return float(value)
    raise ReconError(f"{key} must be a finite number, got {str(value)[:40]!r}")


def _stated_split(
    content: dict[str, Any], frames: list[Frame], names: list[str], missing: list[str]
) -> Split | None:
    """Return the split that the file states, without the pictures that do not exist."""
    by_path = dict(zip([frame.listed for frame in frames], names, strict=True))

    def present(stated: Any) -> tuple[str, ...]:
        paths = match_names(stated, [*by_path, *missing])
        return tuple(by_path[path] for path in paths if path in by_path)

    if not content.get("train_filenames"):
        return None
    test = content.get("test_filenames") or content.get("val_filenames") or []
    return Split(present(content["train_filenames"]), present(test))
