import json
from pathlib import Path

import numpy as np
import pytest
from make_pictures import assert_same_camera, ring_cameras, smooth_picture
from PIL import Image

from recon.datasets import open_scene
from recon.datasets.blender import read_blender
from recon.errors import ReconError
from recon.scene import Camera


def write_blender(folder: Path, train: int = 4, test: int = 3, step: int = 1) -> dict[str, Camera]:
    """Write RGBA pictures whose object is the middle; return the cameras by view name."""
    cameras = {}
    for part, count, stride in (("train", train, 1), ("test", test, step)):
        (folder / part).mkdir(parents=True)
        frames = []
        for number, ring in enumerate(ring_cameras(count)):
            camera = Camera(ring.world_to_camera, 40.0, 40.0, 12.0, 12.0, 24, 24)
            name = f"r_{number * stride}"
            right, down, forward = camera.world_to_camera[:3, :3]
            matrix = np.eye(4)
            matrix[:3] = np.stack([right, -down, -forward, camera.center], axis=1)
            frames.append({"file_path": f"./{part}/{name}", "transform_matrix": matrix.tolist()})
            Image.fromarray(np.dstack([smooth_picture(24, 24, number), object_alpha()])).save(
                folder / part / f"{name}.png"
            )
            cameras[f"{part}/{name}.png"] = camera
        content = {"camera_angle_x": 2 * np.arctan(12 / 40), "frames": frames}
        (folder / f"transforms_{part}.json").write_text(json.dumps(content))
    return cameras


def object_alpha() -> np.ndarray:
    alpha = np.zeros((24, 24), np.uint8)
    alpha[6:18, 6:18] = 255
    alpha[6, 6:18] = 102
    return alpha


def test_cameras_split_and_white_background(tmp_path: Path) -> None:
    cameras = write_blender(tmp_path)
    scene = open_scene(tmp_path)
    assert scene.train == tuple(f"train/r_{i}.png" for i in range(4))
    assert scene.test == tuple(f"test/r_{i}.png" for i in range(3))
    assert scene.background == (1.0, 1.0, 1.0)
    for name, camera in cameras.items():
        assert_same_camera(scene.view(name).camera, camera)
    view = scene.view("train/r_1.png")
    alpha = object_alpha()[:, :, None] / 255
    np.testing.assert_allclose(view.image, smooth_picture(24, 24, 1) / 255 * alpha + 1 - alpha, atol=1e-6)
    np.testing.assert_array_equal(view.mask, alpha[:, :, 0] >= 0.5)


def test_another_background(tmp_path: Path) -> None:
    write_blender(tmp_path)
    scene = read_blender(tmp_path, background=(0.0, 0.25, 1.0))
    assert scene.background == (0.0, 0.25, 1.0)
    np.testing.assert_allclose(scene.views[0].image[0, 0], [0, 0.25, 1], atol=1e-6)


def test_protocol(tmp_path: Path) -> None:
    write_blender(tmp_path, train=100, test=17)
    scene = open_scene(tmp_path, protocol="blender")
    assert scene.train == tuple(f"train/r_{i}.png" for i in (2, 16, 26, 55, 73, 76, 86, 93))
    assert scene.test == ("test/r_0.png", "test/r_8.png", "test/r_16.png")
    assert open_scene(tmp_path, views=3).train == ("train/r_2.png", "train/r_16.png", "train/r_26.png")
    with pytest.raises(ReconError, match="names 8 input views, 9 were asked for"):
        open_scene(tmp_path, protocol="blender", views=9)


def test_protocol_where_only_every_eighth_test_picture_was_kept(tmp_path: Path) -> None:
    write_blender(tmp_path, train=100, test=5, step=8)
    scene = open_scene(tmp_path, protocol="blender")
    assert scene.test == tuple(f"test/r_{8 * i}.png" for i in range(5))


def test_missing_inputs_of_the_protocol(tmp_path: Path) -> None:
    write_blender(tmp_path, train=30)
    with pytest.raises(ReconError, match=r"takes views .* as inputs, but \[55, 73, 76, 86, 93\] are missing"):
        open_scene(tmp_path, protocol="blender")
