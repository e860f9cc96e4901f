"""Write a scene's cameras for other programs, and read a run's own cameras back.

Pictures are written as the scene has them: upright, undistorted, resized; so every camera is a pinhole.
"""

import math
from pathlib import Path
from typing import Any, get_args

import numpy as np

from recon.datasets.colmap_model import ColmapCamera, ColmapImage, ColmapModel, ColmapPoints, write_model
from recon.datasets.points import read_points, write_points
from recon.datasets.posed_view import withheld_view
from recon.datasets.resize import PictureSize
from recon.datasets.split import match_names, read_object
from recon.datasets.transforms import OPENGL_AXES, stated_camera
from recon.errors import ReconError
from recon.files import atomic_write, write_json
from recon.scene import Camera, PoseStatus, Scene, View, rotation_to_quaternion

POINTS_FILE = "points.ply"


def write_transforms(path: Path, scene: Scene, *, pictures: bool = False) -> None:
    """Write all views' cameras in nerfstudio's transforms layout (OpenGL axes, camera to world).

    Args:
        path: the JSON file.
        pictures: also write `images/` (and `masks/`, where there are masks or pixels without picture) beside it, so
            that the folder is a data set; else `file_path` is the view's name.

    Sparse points, where the scene has any, are written beside it as `points.ply` and named as `ply_file_path`.

    Raises:
        ReconError: when the folder cannot be written.
    """
    frames = []
    for view in scene.views:
        frame: dict[str, Any] = {"file_path": view.name, **_frame(view.camera)}
        if pictures and not view.withheld:
            frame["file_path"] = f"images/{picture_name(view.name)}"
            if _write_pictures(path.parent, view):
                frame["mask_path"] = f"masks/{picture_name(view.name)}"
        frames.append(frame)
    listed = {view.name: frame["file_path"] for view, frame in zip(scene.views, frames, strict=True)}
    content: dict[str, Any] = {
        "camera_model": "PINHOLE",
        "scene": scene.name,
        "poses": scene.poses,
        **({} if scene.background is None else {"background": list(scene.background)}),
        "frames": frames,
        "train_filenames": [listed[name] for name in scene.train],
        "test_filenames": [listed[name] for name in scene.test],
    }
    if scene.points is not None:
        write_points(path.parent / POINTS_FILE, scene.points)
        content["ply_file_path"] = POINTS_FILE
    write_json(path, content)


def read_cameras(path: Path) -> Scene:
    """Read cameras and sparse points that `write_transforms` wrote, as a scene of views without pictures.

    Raises:
        ReconError: when a file is missing or malformed.
    """
    content = read_object(path)
    frames = content.get("frames")
    if not isinstance(frames, list) or not all(isinstance(frame, dict) for frame in frames):
        raise ReconError(f'{path} has no list of frames: expected "frames": [{{"file_path": …}}, …]')
    views = []
    for number, frame in enumerate(frames):
        name = frame.get("file_path")
        if not isinstance(name, str):
            raise ReconError(f"{path}: frame {number} has no file_path")
        try:
            views.append(withheld_view(name, stated_camera({**content, **frame}), PictureSize()))
        except ReconError as error:
            raise ReconError(f"{path}, frame {name}: {error}") from error
    names = [view.name for view in views]
    status = content.get("poses", "given")
    if status not in get_args(PoseStatus):
        raise ReconError(f"{path}: poses must be one of {', '.join(get_args(PoseStatus))}, not {status!r}")
    return Scene(
        str(content.get("scene", path.resolve().parent.name)),
        tuple(views),
        match_names(content.get("train_filenames") or names, names),
        match_names(content.get("test_filenames") or [], names),
        poses=status,
        background=_background(path, content.get("background")),
        points=read_points(path.parent / POINTS_FILE)
        if content.get("ply_file_path") == POINTS_FILE
        else None,
    )


def write_colmap(folder: Path, scene: Scene, *, text: bool = False, pictures: bool = False) -> None:
    """Write all views as a COLMAP model, with the scene's sparse points if it has any.

    Args:
        folder: gets `sparse/0/`, and `images/` when pictures are written.
        text: write text files instead of binary ones; both give every number back exactly.
        pictures: also write the pictures.

    Raises:
        ReconError: when the folder cannot be written.
    """
    cameras: dict[ColmapCamera, int] = {}
    images = {}
    for number, view in enumerate(scene.views, start=1):
        camera = view.camera
        lens = ColmapCamera(
            "PINHOLE", camera.width, camera.height, (camera.fx, camera.fy, camera.cx, camera.cy)
        )
        name = view.name
        if pictures and not view.withheld:
            name = picture_name(name)
            _write_pictures(folder, view)
        pose = camera.world_to_camera
        quaternion = tuple(rotation_to_quaternion(pose[:3, :3]).tolist())
        images[number] = ColmapImage(
            name, cameras.setdefault(lens, len(cameras) + 1), quaternion, tuple(pose[:3, 3].tolist())
        )
    model = ColmapModel({number: lens for lens, number in cameras.items()}, images)
    if scene.points is not None:
        count = len(scene.points.positions)
        no_tracks = (np.zeros(count + 1, np.int64), np.zeros(0, np.int64))
        model = ColmapModel(
            model.cameras, images, ColmapPoints(scene.points.positions, scene.points.colors, *no_tracks)
        )
    write_model(folder / "sparse" / "0", model, text=text)


def picture_name(name: str) -> str:
    """Return the name under which a view's picture is written: always PNG, never two views under one name."""
    return name if name.lower().endswith(".png") else f"{name}.png"


def _background(path: Path, stated: Any) -> tuple[float, float, float] | None:
    if stated is None:
        return None
    numbers = isinstance(stated, list) and len(stated) == 3 and all(type(v) in (int, float) for v in stated)
    if not numbers or not all(0 <= value <= 1 for value in stated):
        raise ReconError(f"{path}: background must be three numbers from 0 to 1, not {str(stated)[:60]}")
    red, green, blue = map(float, stated)
    return red, green, blue


def _frame(camera: Camera) -> dict[str, Any]:
    return {
        "w": camera.width,
        "h": camera.height,
        "fl_x": camera.fx,
        "fl_y": camera.fy,
        "cx": camera.cx,
        "cy": camera.cy,
        "camera_angle_x": 2 * math.atan(0.5 * camera.width / camera.fx),
        "transform_matrix": (camera.camera_to_world @ OPENGL_AXES).tolist(),
    }


def _write_pictures(folder: Path, view: View) -> bool:
    """Write a view's picture, and its mask where not every pixel is object and valid; tell whether there is one."""
    from PIL import Image

    def write(path: Path, values: np.ndarray) -> None:
        with atomic_write(path) as file:
            Image.fromarray(np.round(values * 255).astype(np.uint8)).save(file, format="PNG")

    write(folder / "images" / picture_name(view.name), view.image)
    usable = np.ones(view.image.shape[:2], dtype=bool)
    for part in (view.mask, view.valid):
        if part is not None:
            usable &= part
    if view.mask is None and view.valid is None:
        return False
    write(folder / "masks" / picture_name(view.name), usable)
    return True
