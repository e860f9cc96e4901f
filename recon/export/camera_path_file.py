"""Camera paths that somebody drew: the JSON file of nerfstudio's viewer, which this project's viewer writes too.

```json
{"camera_type": "perspective", "render_width": 1280, "render_height": 720, "fps": 30, "seconds": 4,
 "keyframes": ["…"],
 "camera_path": [{"camera_to_world": ["16 numbers, row by row"], "fov": 50, "aspect": 1.78}, "one per frame"]}
```

Poses are in the run's own world, camera axes are OpenGL's (x right, y up, z backwards), `fov` is the vertical field of
view in degrees. The keyframes are for the editor that drew the path; the frames of the video are in `camera_path`.

Source: nerfstudio documentation, "Viewer", camera paths.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recon.datasets.split import read_object
from recon.datasets.transforms import OPENGL_AXES
from recon.errors import ReconError
from recon.scene import Camera, invert_rigid

MAX_FRAMES = 36_000
"""Twenty minutes at 30 frames per second."""

MAX_SIDE = 8192
"""H.264 ends there."""

_FARTHEST = 1e9
"""Numbers beyond it are no camera's; NaN is not below it either."""


@dataclass(frozen=True, eq=False)
class CameraPath:
    """The cameras of a video, all of one picture size, and its frame rate."""

    cameras: list[Camera]
    frames_per_second: float


def read_camera_path(path: Path) -> CameraPath:
    """Read a camera path file.

    Raises:
        ReconError: when the file is missing or malformed, has no frames or too many, or states an unusable camera.
    """
    content = read_object(path)
    kind = content.get("camera_type", "perspective")
    if kind != "perspective":
        raise ReconError(
            f"{path}: only perspective camera paths are rendered, this one is {str(kind)[:40]!r}"
        )
    width = _whole(path, content, "render_width")
    height = _whole(path, content, "render_height")
    frames_per_second = _number(path, "fps", content.get("fps", 30), 1, 240)
    frames = content.get("camera_path")
    if not isinstance(frames, list) or not frames:
        raise ReconError(
            f'{path} has no frames: expected "camera_path": [{{"camera_to_world": […], "fov": …}}, …]'
        )
    if len(frames) > MAX_FRAMES:
        raise ReconError(f"{path} has {len(frames)} frames; at most {MAX_FRAMES} are rendered")
    cameras = [_camera(f"{path}, frame {i}", frame, width, height) for i, frame in enumerate(frames)]
    return CameraPath(cameras, frames_per_second)


def _camera(where: str, frame: Any, width: int, height: int) -> Camera:
    if not isinstance(frame, dict):
        raise ReconError(f"{where}: expected an object with camera_to_world and fov")
    matrix = frame.get("camera_to_world")
    if (
        not isinstance(matrix, list)
        or len(matrix) != 16
        or not all(type(v) in (int, float) and abs(v) < _FARTHEST for v in matrix)
    ):
        raise ReconError(f"{where}: camera_to_world must be 16 numbers, row by row")
    fov = _number(where, "fov", frame.get("fov"), 0.1, 179)
    focal = 0.5 * height / math.tan(math.radians(fov) / 2)
    camera_to_world = np.array(matrix, dtype=np.float64).reshape(4, 4)
    try:
        pose = invert_rigid(_orthonormal(camera_to_world) @ OPENGL_AXES)
        return Camera(pose, focal, focal, width / 2, height / 2, width, height)
    except ReconError as error:
        raise ReconError(f"{where}: {error}") from None


def _orthonormal(pose: np.ndarray) -> np.ndarray:
    """Return the pose with its rotation made exact, where rounding or an editor's interpolation bent it a little."""
    if np.abs(pose[3] - [0, 0, 0, 1]).max() > 1e-6:
        raise ReconError("the last row of camera_to_world must be 0 0 0 1")
    left, sizes, right = np.linalg.svd(pose[:3, :3])
    if sizes[0] > 1.01 or sizes[2] < 0.99 or np.linalg.det(left @ right) < 0:
        raise ReconError("camera_to_world must be a rotation and a translation, without scale or mirroring")
    exact = pose.copy()
    exact[:3, :3] = left @ right
    return exact


def _whole(path: Path, content: dict[str, Any], name: str) -> int:
    value: Any = content.get(name)
    if type(value) not in (int, float) or not 16 <= value <= MAX_SIDE or value != int(value):
        raise ReconError(
            f"{path}: {name} must be a whole number from 16 to {MAX_SIDE}, not {str(value)[:40]}"
        )
    return int(value)


def _number(where: object, name: str, value: Any, low: float, high: float) -> float:
    if type(value) not in (int, float) or not low <= value <= high:
        raise ReconError(f"{where}: {name} must be a number from {low:g} to {high:g}, not {str(value)[:40]}")
    return float(value)
