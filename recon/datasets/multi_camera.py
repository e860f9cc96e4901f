"""Moments of synchronised multi-camera clips: `train_meta.json`, `test_meta.json`, `ims/<camera>/<frame>.jpg`.

Source: Luiten et al. 2024, Dynamic 3D Gaussians, released data. `k[t][c]`, `w2c[t][c]` and `fn[t][c]` hold intrinsics,
OpenCV pose and file of camera c at time t.
"""

from pathlib import Path
from typing import Any

import numpy as np

from recon.datasets.decode import shown
from recon.datasets.posed_view import posed_view
from recon.datasets.resize import PictureSize
from recon.datasets.split import Listing, Split, SplitRule, own_split, read_object
from recon.errors import ReconError
from recon.scene import Camera, Scene

META_FILES = {"train": "train_meta.json", "test": "test_meta.json"}


def read_multi_camera(
    folder: Path, size: PictureSize | None = None, rule: SplitRule = own_split, *, frame: int = 0
) -> Scene:
    """Read one moment of a multi-camera clip; views are named `<camera>/<frame>.jpg` as in the files.

    Cameras whose file for that moment is absent are left out with a warning. A protocol knows a view by its camera's
    number.

    Raises:
        ReconError: when the clip has no such frame, files are malformed, or no picture of that moment exists.
    """
    views, indices, missing = [], [], []
    parts: dict[str, list[str]] = {}
    for part, file_name in META_FILES.items():
        file = folder / file_name
        if not file.is_file():
            continue
        parts[part] = []
        for number, name, camera in cameras_at(file, read_meta(file), frame):
            picture = folder / "ims" / name
            if not picture.is_file():
                missing.append(name)
                continue
            views.append(posed_view(name, picture, camera, size or PictureSize()))
            indices.append(number)
            parts[part].append(name)
    if not views:
        raise ReconError(f"none of the pictures of frame {frame} exists under {shown(folder / 'ims')}")
    own = Split(tuple(parts.get("train", ())), tuple(parts.get("test", ())))
    split = rule(Listing(tuple(view.name for view in views), tuple(indices), own))
    warnings = (
        (f"frame {frame} has no picture from {len(missing)} cameras: {', '.join(missing)}",)
        if missing
        else ()
    )
    return Scene(folder.resolve().name, tuple(views), split.train, split.test, warnings=warnings)


def frame_count(folder: Path) -> int:
    """Return how many moments a clip's files list (pictures of some cameras may be absent)."""
    return min(
        len(read_meta(folder / name)["fn"]) for name in META_FILES.values() if (folder / name).is_file()
    )


def read_meta(file: Path) -> dict[str, Any]:
    """Read a meta file whose lists have the same length; what is in them is checked moment by moment.

    Raises:
        ReconError: when the file is no such JSON.
    """
    meta = read_object(file)
    for key in ("w", "h"):
        if not isinstance(meta.get(key), int | float) or not 1 <= meta[key] < 1 << 20:
            raise ReconError(
                f"{shown(file)}: {key} must be the pictures' size in pixels, got {str(meta.get(key))[:40]}"
            )
    lengths = {
        key: len(meta[key]) if isinstance(meta.get(key), list) else 0 for key in ("k", "w2c", "fn", "cam_id")
    }
    if len(set(lengths.values())) != 1 or lengths["fn"] == 0:
        raise ReconError(f"{shown(file)}: k, w2c, fn and cam_id must list the same frames, got {lengths}")
    return meta


def pictures_at(file: Path, meta: dict[str, Any], frame: int) -> list[tuple[int, str]]:
    """Return (camera number, picture name) for every camera of one moment.

    Args:
        file: where `meta` was read; for messages.

    Raises:
        ReconError: when there is no such frame, or its lists are malformed.
    """
    if not 0 <= frame < len(meta["fn"]):
        raise ReconError(f"{shown(file)} has frames 0 to {len(meta['fn']) - 1}, not {frame}")
    names, numbers = meta["fn"][frame], meta["cam_id"][frame]
    names = names if isinstance(names, list) and all(isinstance(name, str) for name in names) else []
    numbers = numbers if isinstance(numbers, list) and all(type(number) is int for number in numbers) else []
    if len(names) != len(numbers) or not names:
        raise ReconError(
            f"{shown(file)}, frame {frame}: {len(names)} file names and {len(numbers)} camera numbers "
            "do not belong together"
        )
    return list(zip(numbers, names, strict=True))


def cameras_at(file: Path, meta: dict[str, Any], frame: int) -> list[tuple[int, str, Camera]]:
    """Return (camera number, picture name, camera) for every camera of one moment.

    Raises:
        ReconError: when there is no such frame, its lists are malformed, or a camera is unusable.
    """
    listed = pictures_at(file, meta, frame)
    count = len(listed)
    intrinsics, poses = _array(meta["k"][frame]), _array(meta["w2c"][frame])
    if intrinsics.shape != (count, 3, 3) or poses.shape != (count, 4, 4):
        raise ReconError(
            f"{shown(file)}, frame {frame}: {count} file names, "
            f"intrinsics of shape {intrinsics.shape} and poses of shape {poses.shape} do not belong together"
        )
    cameras = []
    for (number, name), k, pose in zip(listed, intrinsics, poses, strict=True):
        try:
            camera = Camera(pose, k[0, 0], k[1, 1], k[0, 2], k[1, 2], meta["w"], meta["h"])
        except ReconError as error:
            raise ReconError(f"{shown(file)}, camera {number}: {error}") from error
        cameras.append((number, name, camera))
    return cameras


def _array(value: Any) -> np.ndarray:
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        return np.empty(0)
