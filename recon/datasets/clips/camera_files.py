"""Cameras of a clip that a file states beside folders of pictures or videos, one per camera.

The file is nerfstudio's `transforms.json`, a COLMAP model or LLFF's `poses_bounds.npy`. The first two name a picture,
a folder or a video per camera, or every picture of every camera; LLFF's rows belong to the folders or videos in name
order.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from recon.datasets.colmap import camera_of, find_model
from recon.datasets.colmap_model import read_model
from recon.datasets.decode import SUFFIXES, shown
from recon.datasets.folder import describe_contents, picture_files
from recon.datasets.llff import read_rows, row_camera, shared_bounds
from recon.datasets.posed_view import check_name
from recon.datasets.split import match_names, read_object
from recon.datasets.transforms import stated_camera, stated_distortion
from recon.datasets.undistort import NO_DISTORTION, Distortion
from recon.errors import ReconError
from recon.scene import Camera

VIDEO_SUFFIXES = (".mp4", ".mov", ".m4v", ".webm", ".mkv")
"""File name endings that count as a video."""

ROOTS = ("images", "frames", "ims", "videos", "input", "rgb")
"""Folders, beside the clip's own, in which cameras' folders and videos may lie."""

_LONGEST_PATH = 255  # file systems take no longer names


@dataclass(frozen=True, eq=False)
class Pose:
    """A camera and its lens."""

    camera: Camera
    distortion: Distortion = NO_DISTORTION

    def same(self, other: "Pose") -> bool:
        mine, others = self.camera, other.camera
        return (
            np.allclose(mine.world_to_camera, others.world_to_camera, rtol=0, atol=1e-9)
            and np.allclose(mine.intrinsics, others.intrinsics, rtol=1e-9)
            and (mine.width, mine.height) == (others.width, others.height)
            and self.distortion == other.distortion
        )


@dataclass(frozen=True, eq=False)
class StatedCamera:
    """One camera of a clip.

    Attributes:
        name: of its folder or video.
        place: a folder of pictures, or a video.
        pose: for all pictures; None when the camera moves.
        by_file: for each picture that the file lists, if the camera moves.
        range: (near, far) depth, if stated.
    """

    name: str
    place: Path
    pose: Pose | None
    by_file: Mapping[str, Pose] = field(default_factory=dict)
    range: Float[ndarray, " 2"] | None = None

    @property
    def is_video(self) -> bool:
        return self.place.suffix.lower() in VIDEO_SUFFIXES and not self.place.is_dir()


@dataclass(frozen=True, eq=False)
class StatedCameras:
    """What a camera file says.

    Attributes:
        file: it.
        cameras: in name order.
        held_out: names, by the file or by custom.
        split_is_stated: whether the file says it.
        fps: frames per second, if the file says it.
        warnings: about cameras that were left out.
    """

    file: Path
    cameras: tuple[StatedCamera, ...]
    held_out: tuple[str, ...] = ()
    split_is_stated: bool = False
    fps: float | None = None
    warnings: tuple[str, ...] = ()


def camera_file(folder: Path) -> Path | None:
    """Return the file (or COLMAP model's folder) that states a clip's cameras."""
    for name in ("poses_bounds.npy", "transforms.json"):
        if (folder / name).is_file():
            return folder / name
    return find_model(folder)


def read_cameras_of_clip(folder: Path, file: Path, *, growing: bool = False) -> StatedCameras:
    """Read a clip's cameras and find their folders or videos.

    Args:
        growing: cameras whose folder does not exist yet get the one that the file names.

    Raises:
        ReconError: when the file is malformed, or no camera has a folder or video.
    """
    if file.name == "poses_bounds.npy":
        return _read_rows(folder, file)
    if file.name == "transforms.json":
        return _read_transforms(folder, file, growing)
    return _read_colmap(folder, file, growing)


def stated_bounds(cameras: Sequence[StatedCamera]) -> tuple[float, float] | None:
    """Return near and far over the given cameras, if each states them."""
    ranges = [camera.range for camera in cameras if camera.range is not None]
    return shared_bounds(np.array(ranges)) if ranges and len(ranges) == len(cameras) else None


def _read_transforms(folder: Path, file: Path, growing: bool) -> StatedCameras:
    content = read_object(file)
    entries = content.get("frames")
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise ReconError(f'{shown(file)} has no list of frames: expected "frames": [{{"file_path": …}}, …]')
    listed = []
    for number, entry in enumerate(entries):
        path = entry.get("file_path")
        if not isinstance(path, str) or not path or "\0" in path:
            raise ReconError(f"{shown(file)}: frame {number} has no file_path")
        path = path.replace("\\", "/").removeprefix("./")
        check_name(path)
        try:
            stated = {**content, **entry}
            if "w" not in stated or "h" not in stated:
                raise ReconError("w and h, the size of the pictures, are needed")
            pose = Pose(stated_camera(stated), stated_distortion(stated))
        except ReconError as error:
            raise ReconError(f"{shown(file)}, frame {path}: {error}") from error
        listed.append((path, pose))
    cameras, owners, warnings = _placed(folder, file, listed, growing)
    held_out: tuple[str, ...] = ()
    stated_test = content.get("test_filenames") or content.get("val_filenames")
    if stated_test:
        paths = [path for path, _ in listed]
        wanted = match_names([str(name).removeprefix("./") for name in _list(file, stated_test)], paths)
        held_out = tuple(dict.fromkeys(owners[path] for path in wanted if path in owners))
    return StatedCameras(
        file, cameras, held_out, split_is_stated=bool(stated_test), fps=_fps(content), warnings=warnings
    )


def _read_colmap(folder: Path, model_folder: Path, growing: bool) -> StatedCameras:
    model = read_model(model_folder)
    listed = []
    for image in model.images.values():
        try:
            listed.append((image.name, Pose(*camera_of(model.cameras[image.camera_id], image))))
        except ReconError as error:
            raise ReconError(f"{shown(model_folder)}, image {image.name}: {error}") from error
    if not listed:
        raise ReconError(f"{shown(model_folder)} holds no image: a clip needs one or more per camera")
    cameras, _, warnings = _placed(folder, model_folder, listed, growing)
    return StatedCameras(model_folder, cameras, warnings=warnings)


def _read_rows(folder: Path, file: Path) -> StatedCameras:
    """Give row i to the i-th video or folder in name order; the first camera is held out, as N3DV has it."""
    rows = read_rows(file)
    places = _videos(folder) or _folders(folder)
    if len(places) != len(rows):
        raise ReconError(
            f"{shown(file)} has {len(rows)} poses, but {shown(folder)} has {len(places)} videos or folders of "
            "pictures: each row must belong to one camera, in name order"
        )
    names = _place_names(folder, places)
    for name in names.values():
        check_name(name)
    cameras = tuple(
        StatedCamera(names[place], place, Pose(row_camera(row, names[place])), range=row[15:17])
        for row, place in zip(rows, places, strict=True)
    )
    return StatedCameras(file, cameras, held_out=(cameras[0].name,))


def _placed(
    folder: Path, file: Path, listed: list[tuple[str, Pose]], growing: bool
) -> tuple[tuple[StatedCamera, ...], dict[str, str], tuple[str, ...]]:
    """Bring listed pictures together to cameras; also return each path's camera, and warnings."""
    by_place: dict[Path, dict[str, Pose]] = {}
    place_of: dict[str, Path] = {}
    lost = []
    for path, pose in listed:
        check_name(path)
        if len(path) > _LONGEST_PATH:
            raise ReconError(f"{shown(file)} lists a path of {len(path)} characters: nothing is called so")
        if path in place_of:
            raise ReconError(f"{shown(file)}: {path} is listed twice: every picture may have one camera only")
        place = _place(folder, path) or (_expected_place(folder, path) if growing else None)
        if place is None:
            lost.append(path)
            continue
        place_of[path] = place
        by_place.setdefault(place, {})[path] = pose
    if not by_place:
        raise ReconError(
            f"{shown(file)} lists {len(listed)} cameras or pictures, but there is no folder of pictures and no video "
            f"for any of them, e.g. {lost[0]}: expected one per camera; {shown(folder)} {describe_contents(folder)}"
        )
    names = _place_names(folder, by_place)
    cameras = []
    for place, poses in by_place.items():
        check_name(names[place])
        first = next(iter(poses.values()))
        still = all(pose.same(first) for pose in poses.values())
        by_file = {} if still else {PurePosixPath(path).name: pose for path, pose in poses.items()}
        cameras.append(StatedCamera(names[place], place, first if still else None, by_file))
    warnings: tuple[str, ...] = ()
    if lost:
        some = ", ".join(lost[:5]) + (", …" if len(lost) > 5 else "")
        warnings = (f"{shown(file.name)} lists cameras without a folder or video, left out: {some}",)
    owners = {path: names[place] for path, place in place_of.items()}
    return tuple(sorted(cameras, key=lambda camera: camera.name)), owners, warnings


def _place(folder: Path, listed: str) -> Path | None:
    """Find the folder or the video that a listed path stands for.

    It may be the folder or the video itself, a picture called like one of them, or a picture in a camera's folder (of
    which there may only be the video now).
    """
    path = PurePosixPath(listed)
    bases = [folder, *(folder / root for root in ROOTS)]
    if path.suffix.lower() in VIDEO_SUFFIXES:
        return next((base / path for base in bases if (base / path).is_file()), None)
    whole = path.with_suffix("") if path.suffix.lower() in SUFFIXES else path
    called = [path, whole, PurePosixPath(whole.name)]
    if path.parent.name and path.parent.name not in ROOTS:
        called.append(path.parent)
    for name in dict.fromkeys(called):
        for base in bases:
            if (base / name).is_dir():
                return base / name
            for suffix in VIDEO_SUFFIXES:
                if (base / f"{name}{suffix}").is_file():
                    return base / f"{name}{suffix}"
    return None


def _expected_place(folder: Path, listed: str) -> Path:
    """Return the camera's folder that a listed path speaks of, before anything is there."""
    path = PurePosixPath(listed)
    if path.suffix.lower() not in SUFFIXES:
        return folder / path
    if path.parent.name and path.parent.name not in ROOTS:
        return folder / path.parent
    return folder / path.parent / path.stem


def _place_names(folder: Path, places: Iterable[Path]) -> dict[Path, str]:
    """Name places by their last part, or by their whole path where last parts repeat."""
    places = list(places)
    short = [_stem(place) for place in places]
    if len(set(short)) == len(short):
        return dict(zip(places, short, strict=True))
    return {place: place.relative_to(folder).as_posix() for place in places}


def _stem(place: Path) -> str:
    return place.stem if place.suffix.lower() in VIDEO_SUFFIXES else place.name


def _videos(folder: Path) -> list[Path]:
    for base in (folder, *(folder / root for root in ROOTS)):
        videos = [file for file in _entries(base) if file.suffix.lower() in VIDEO_SUFFIXES and file.is_file()]
        if videos:
            return videos
    return []


def _folders(folder: Path) -> list[Path]:
    """Return the cameras' folders: those with pictures, one level down."""
    for base in (folder, *(folder / root for root in ROOTS)):
        folders = [
            entry
            for entry in _entries(base)
            if entry.is_dir() and not (base == folder and entry.name in ROOTS) and picture_files(entry)
        ]
        if folders:
            return folders
    return []


def _entries(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))


def _list(file: Path, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ReconError(f"{shown(file)}: the names of test views must be a list of picture names")
    return value


def _fps(content: dict[str, Any]) -> float | None:
    fps = content.get("fps")
    plain = isinstance(fps, int | float) and not isinstance(fps, bool) and 0 < fps < 1e6
    return float(fps) if plain and fps is not None else None
