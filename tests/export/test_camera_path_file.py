"""Camera paths drawn by a person: the file's conventions, and sentences for what is wrong with it."""

import json
import math

import numpy as np
import pytest

from recon.errors import ReconError
from recon.export.camera_path_file import read_camera_path
from recon.scene import Camera, look_at

GL = np.diag([1.0, -1.0, -1.0, 1.0])


def a_camera(x: float) -> Camera:
    pose = look_at(np.array([x, -1.0, -4.0]), np.zeros(3), np.array([0.0, -1.0, 0.0]))
    return Camera(pose, 100.0, 100.0, 80.0, 60.0, 160, 120)


def content(frames: int = 3, **changes) -> dict:
    fov = 2 * math.degrees(math.atan(60 / 100))
    path = [
        {
            "camera_to_world": (a_camera(0.1 * i).camera_to_world @ GL).ravel().tolist(),
            "fov": fov,
            "aspect": 4 / 3,
        }
        for i in range(frames)
    ]
    whole = {
        "camera_type": "perspective",
        "render_width": 160,
        "render_height": 120,
        "fps": 24,
        "seconds": frames / 24,
        "keyframes": [],
        "camera_path": path,
    }
    return {**whole, **changes}


@pytest.fixture
def read(tmp_path):
    def read(data) -> object:
        path = tmp_path / "path.json"
        path.write_text(data if isinstance(data, str) else json.dumps(data))
        return read_camera_path(path)

    return read


def test_the_cameras_are_those_that_were_drawn(read):
    drawn = read(content())
    assert drawn.frames_per_second == 24 and len(drawn.cameras) == 3
    for i, camera in enumerate(drawn.cameras):
        np.testing.assert_allclose(camera.world_to_camera, a_camera(0.1 * i).world_to_camera, atol=1e-9)
        np.testing.assert_allclose(camera.intrinsics, [100, 100, 80, 60], atol=1e-9)
        assert (camera.width, camera.height) == (160, 120)


def test_a_pose_that_was_rounded_is_made_rigid(read):
    data = content()
    frame = data["camera_path"][0]
    frame["camera_to_world"] = [round(v, 3) for v in frame["camera_to_world"]]
    rotation = read(data).cameras[0].world_to_camera[:3, :3]
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)


def frame(**changes) -> dict:
    data = content(1)
    data["camera_path"][0].update(changes)
    return data


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("{", "not a readable JSON"),
        ([], "object|path.json"),
        (content(camera_path=[]), "has no frames"),
        (content(camera_path="all"), "has no frames"),
        (content(camera_path=[None]), "expected an object"),
        (content(camera_path=[{}] * 40_000), "at most 36000"),
        (content(camera_type="fisheye"), "only perspective"),
        (content(render_width=1e9), "render_width must be"),
        (content(render_height=None), "render_height must be"),
        (content(render_height=120.5), "render_height must be"),
        (content(fps=0), "fps must be"),
        (frame(fov=None), "fov must be"),
        (frame(fov=180), "fov must be"),
        (frame(camera_to_world=[1] * 15), "must be 16 numbers"),
        (frame(camera_to_world=["1"] * 16), "must be 16 numbers"),
        (frame(camera_to_world=[1e400] + [0] * 15), "16 numbers|not a readable JSON"),
        (frame(camera_to_world=np.diag([2.0, 2, 2, 1]).ravel().tolist()), "without scale or mirroring"),
        (frame(camera_to_world=np.diag([1.0, 1, -1, 1]).ravel().tolist()), "without scale or mirroring"),
        (frame(camera_to_world=np.ones(16).tolist()), "last row"),
    ],
)
def test_what_is_wrong_is_told_in_a_sentence(read, data, words):
    with pytest.raises(ReconError, match=words):
        read(data)
