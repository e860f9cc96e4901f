"""How generated pictures, truth and cameras are laid out in files; every file appears whole or not at all."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from PIL import Image
from scipy.spatial.transform import Rotation

from recon.errors import ReconError
from recon.scene import Camera

_OPENGL_AXES = np.diag(
    [1.0, -1.0, -1.0, 1.0]
)  # from OpenCV's camera axes to OpenGL's (y up, looking along -z)
_JPEG_QUALITY = 92
_SENSOR_WIDTH = 6.4  # millimetres: a phone's sensor, to state a focal length as its camera would


def write_photo(path: Path, image: Float[ndarray, "H W 3"], camera: Camera) -> None:
    """Write an sRGB picture with the focal length in EXIF, as a camera does."""
    picture = Image.fromarray(np.round(image * 255.0).astype(np.uint8))
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "recon", "procedural camera"
    details = exif.get_ifd(0x8769)
    # The equivalent focal length as COLMAP and most readers take it: relative to the longer side of 35 mm.
    longer = max(camera.width, camera.height)
    details[0xA405] = round(35.0 * camera.fx / longer)
    details[0x920A] = round(_SENSOR_WIDTH * camera.fx / longer, 2)
    kind = "JPEG" if path.suffix == ".jpg" else "PNG"
    options = {"quality": _JPEG_QUALITY, "subsampling": 0, "optimize": True} if kind == "JPEG" else {}
    _write(path, lambda file: picture.save(file, format=kind, exif=exif, **options))


def write_depth(path: Path, depth: Float[ndarray, "H W"]) -> None:
    """Write z-depth in metres as float32 .npy; 0 where nothing is seen."""
    _write(path, lambda file: np.save(file, depth.astype(np.float32), allow_pickle=False))


def write_mask(path: Path, mask: Bool[ndarray, "H W"]) -> None:
    """Write a mask as PNG, 255 on the foreground."""
    _write(path, lambda file: Image.fromarray(mask.astype(np.uint8) * 255).save(file, format="PNG"))


def write_json(path: Path, content: Any) -> None:
    _write(path, lambda file: file.write((json.dumps(content, indent=1) + "\n").encode()))


def write_bytes(path: Path, content: bytes) -> None:
    _write(path, lambda file: file.write(content))


def transforms_json(
    entries: Sequence[tuple[Camera, str, str | None, str | None]], train: list[str], test: list[str]
) -> dict[str, Any]:
    """Return nerfstudio's transforms.json: shared intrinsics, camera-to-world in OpenGL axes.

    Args:
        entries: camera, picture, depth and mask paths of every view.
        train, test: paths of the inputs and the held-out pictures.
    """
    camera = entries[0][0]
    frames = []
    for view, picture, depth, mask in entries:
        frame: dict[str, Any] = {
            "file_path": picture,
            "transform_matrix": (view.camera_to_world @ _OPENGL_AXES).tolist(),
        }
        if depth is not None:
            frame["depth_file_path"] = depth
        if mask is not None:
            frame["mask_path"] = mask
        frames.append(frame)
    return {
        "camera_model": "PINHOLE",
        "w": camera.width,
        "h": camera.height,
        "fl_x": camera.fx,
        "fl_y": camera.fy,
        "cx": camera.cx,
        "cy": camera.cy,
        "frames": frames,
        "train_filenames": train,
        "test_filenames": test,
    }


def split_json(train: list[str], test: list[str]) -> dict[str, list[str]]:
    """Return the split by file names."""
    return {
        "train": [path.rsplit("/", 1)[-1] for path in train],
        "test": [path.rsplit("/", 1)[-1] for path in test],
    }


def clip_meta(
    rows: Sequence[Sequence[tuple[Camera, int, str]]], size: tuple[int, int], frames_per_second: float
) -> dict[str, Any]:
    """Return the meta JSON of Dynamic 3D Gaussians: by frame and camera, intrinsics, world-to-camera, file, number.

    Args:
        rows: for every frame, every camera with its number and its picture's path below `ims/`.
    """
    return {
        "w": size[0],
        "h": size[1],
        "fps": frames_per_second,
        "k": [[camera.matrix.tolist() for camera, _, _ in row] for row in rows],
        "w2c": [[camera.world_to_camera.tolist() for camera, _, _ in row] for row in rows],
        "fn": [[name for _, _, name in row] for row in rows],
        "cam_id": [[number for _, number, _ in row] for row in rows],
    }


def write_colmap(folder: Path, views: Sequence[tuple[Camera, str]]) -> None:
    """Write cameras and poses as a COLMAP text model without points; pictures are named by their path."""
    camera = views[0][0]
    lines = [
        f"1 PINHOLE {camera.width} {camera.height} {camera.fx!r} {camera.fy!r} {camera.cx!r} {camera.cy!r}"
    ]
    _write_text(folder / "cameras.txt", lines)
    lines = []
    for index, (view, name) in enumerate(views, start=1):
        x, y, z, w = Rotation.from_matrix(view.world_to_camera[:3, :3]).as_quat()
        pose = [float(value) for value in (w, x, y, z, *view.world_to_camera[:3, 3])]
        lines += [" ".join([str(index), *map(repr, pose), "1", name]), ""]
    _write_text(folder / "images.txt", lines)
    _write_text(folder / "points3D.txt", [])


def _write_text(path: Path, lines: list[str]) -> None:
    _write(path, lambda file: file.write("".join(line + "\n" for line in lines).encode()))


def _write(path: Path, save: Any) -> None:
    """Write a file under a temporary name and move it into place."""
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            save(file)
        os.replace(partial, path)
    except OSError as error:
        raise ReconError(f"cannot write {path}: {error}") from error
