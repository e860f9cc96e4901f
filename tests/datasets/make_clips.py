"""Tiny clips that the tests of `recon.datasets.clips` write to disk."""

import json
from pathlib import Path

import numpy as np
from make_pictures import ring_cameras, write_picture

from recon.datasets.colmap_model import ColmapCamera, ColmapImage, ColmapModel, write_model
from recon.datasets.transforms import OPENGL_AXES
from recon.scene import Camera, rotation_to_quaternion

SIZE = (32, 24)


def seed_of(camera: int, frame: int) -> int:
    """The seed of `smooth_picture` for a camera's frame."""
    return 100 * camera + frame


def write_meta(
    folder: Path, train: list[int], test: list[int], frames: int, *, fps: float | None = None
) -> dict[int, Camera]:
    """Write the lists of Dynamic 3D Gaussians, without pictures."""
    cameras = dict(enumerate(ring_cameras(max([*train, *test]) + 1)))
    for part, numbers in (("train", train), ("test", test)):
        meta = {
            "w": SIZE[0],
            "h": SIZE[1],
            "k": [[cameras[c].matrix.tolist() for c in numbers]] * frames,
            "w2c": [[cameras[c].world_to_camera.tolist() for c in numbers]] * frames,
            "fn": [[f"{c}/{t:06d}.png" for c in numbers] for t in range(frames)],
            "cam_id": [numbers] * frames,
        }
        (folder / f"{part}_meta.json").write_text(json.dumps(meta if fps is None else {**meta, "fps": fps}))
    return cameras


def write_frame(folder: Path, camera: int, frame: int, name: str = "{frame:06d}.png") -> Path:
    """Write one picture of a camera into its folder."""
    path = folder / name.format(frame=frame)
    write_picture(path, *SIZE, seed=seed_of(camera, frame))
    return path


def entry(camera: Camera, path: str) -> dict:
    """An entry of transforms.json."""
    return {
        "file_path": path,
        "w": camera.width,
        "h": camera.height,
        "fl_x": camera.fx,
        "fl_y": camera.fy,
        "cx": camera.cx,
        "cy": camera.cy,
        "transform_matrix": (camera.camera_to_world @ OPENGL_AXES).tolist(),
    }


def write_transforms_file(folder: Path, entries: list[dict], **more) -> None:
    (folder / "transforms.json").write_text(json.dumps({"frames": entries, **more}))


def write_colmap_file(folder: Path, cameras: list[Camera], names: list[str]) -> None:
    model = ColmapModel(
        {
            i: ColmapCamera("PINHOLE", c.width, c.height, tuple(c.intrinsics.tolist()))
            for i, c in enumerate(cameras)
        },
        {
            i: ColmapImage(
                name,
                i,
                tuple(rotation_to_quaternion(c.world_to_camera[:3, :3]).tolist()),
                tuple(c.world_to_camera[:3, 3].tolist()),
            )
            for i, (c, name) in enumerate(zip(cameras, names, strict=True))
        },
    )
    (folder / "sparse" / "0").mkdir(parents=True)
    write_model(folder / "sparse" / "0", model, text=True)


def write_rows(folder: Path, cameras: list[Camera]) -> None:
    """Write poses_bounds.npy by its definition; near is 1 + 0.1 i, far is 9 + i."""
    rows = []
    for number, camera in enumerate(cameras):
        right, down, forward = camera.world_to_camera[:3, :3]
        columns = [down, right, -forward, camera.center, [camera.height, camera.width, camera.fx]]
        rows.append([*np.stack(columns, axis=1).ravel(), 1.0 + 0.1 * number, 9.0 + number])
    np.save(folder / "poses_bounds.npy", np.array(rows))


def square_cameras(count: int) -> list[Camera]:
    """LLFF knows one focal length and a principal point in the middle."""
    return [
        Camera(camera.world_to_camera, camera.fx, camera.fx, SIZE[0] / 2, SIZE[1] / 2, *SIZE)
        for camera in ring_cameras(count)
    ]
