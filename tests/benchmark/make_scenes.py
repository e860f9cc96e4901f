"""Small data sets in every layout that benchmarks read."""

import json
from pathlib import Path

import numpy as np
from make_pictures import ring_cameras, write_picture
from PIL import Image

from recon.datasets import write_transforms
from recon.datasets.spare import picture_name
from recon.scene import Scene

FAST = ("train.iterations=12", "initial.count=800", "stereo.planes=32")
"""Settings with which a run takes a second."""


def write_scene(folder: Path, scene: Scene) -> None:
    """Write a scene in the transforms layout with the split.json that `custom` wants."""
    folder.mkdir(parents=True)
    write_transforms(folder / "transforms.json", scene, pictures=True)
    (folder / "split.json").write_text(json.dumps({"train": list(scene.train), "test": list(scene.test)}))


def write_llff(folder: Path, count: int = 12) -> None:
    """Write an LLFF scene that states 8 times its pictures' size."""
    rows = []
    for number in range(count):
        write_picture(folder / "images_8" / f"{number:03d}.png", 32, 24, number)
        pose = np.array([[1, 0, 0, 0.1 * number], [0, -1, 0, 0], [0, 0, -1, 0]], float)
        matrix = np.concatenate([pose[:, [1, 0, 2, 3]] * [-1, 1, 1, 1], [[192], [256], [240.0]]], axis=1)
        rows.append([*matrix.ravel(), 1.0, 9.0])
    np.save(folder / "poses_bounds.npy", np.array(rows))


def write_blender(folder: Path, train: int = 100, test: int = 17) -> None:
    """Write a Blender scene whose pictures are tiny."""
    for part, count in (("train", train), ("test", test)):
        frames = []
        for number in range(count):
            frames.append({"file_path": f"./{part}/r_{number}", "transform_matrix": np.eye(4).tolist()})
            (folder / part).mkdir(parents=True, exist_ok=True)
            Image.new("RGBA", (8, 8), (number, 90, 30, 255)).save(folder / part / f"r_{number}.png")
        content = {"camera_angle_x": 0.7, "frames": frames}
        (folder / f"transforms_{part}.json").write_text(json.dumps(content))


def write_idr(folder: Path, count: int = 49) -> None:
    """Write a DTU scan in IDR's layout."""
    arrays = {}
    for number, camera in enumerate(ring_cameras(count)):
        write_picture(folder / "image" / f"{number:06d}.png", 32, 24, number)
        world = np.eye(4)
        world[:3] = camera.matrix @ camera.world_to_camera[:3]
        arrays[f"world_mat_{number}"] = world
        arrays[f"scale_mat_{number}"] = np.eye(4)
    np.savez(folder / "cameras.npz", **arrays)


def write_spare(folder: Path, scene: str, views: range | tuple[int, ...], kind: str = "DTU") -> None:
    """Write the pictures of a SpaRe scene, and the calibration of 49 views if it is not there."""
    calibration = folder / ("dtu_calibration" if kind == "DTU" else "synth_calibration")
    if not calibration.is_dir():
        calibration.mkdir(parents=True)
        for index, camera in enumerate(ring_cameras(49, 1600, 1200)):
            np.savetxt(calibration / f"pos_{index + 1:03d}.txt", camera.matrix @ camera.world_to_camera[:3])
    for index in views:
        write_picture(folder / "images" / scene / picture_name(index, kind), 32, 24, index)


def write_split(folder: Path, track: int, part: str, **scenes: tuple[list[int], list[int], str]) -> None:
    """Write a SpaRe split file."""
    content = {
        name: {"input_views": inputs, "test_views": tests, "dataset": kind}
        for name, (inputs, tests, kind) in scenes.items()
    }
    (folder / f"Track{track}_split_{part}.json").write_text(json.dumps(content))
