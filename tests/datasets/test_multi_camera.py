import json
from pathlib import Path

import numpy as np
import pytest
from make_pictures import assert_same_camera, ring_cameras, write_picture

from recon.datasets import open_scene
from recon.datasets.multi_camera import frame_count, read_multi_camera
from recon.errors import ReconError
from recon.scene import Camera


def write_clip(folder: Path, frames: int = 3) -> dict[int, Camera]:
    """Write cameras 0 to 4 (0 and 3 held out); camera 2 has a picture at the first moment only."""
    cameras = dict(enumerate(ring_cameras(5)))
    for part, numbers in (("train", [1, 2, 4]), ("test", [0, 3])):
        meta = {
            "w": 32,
            "h": 24,
            "k": [[cameras[c].matrix.tolist() for c in numbers]] * frames,
            "w2c": [[cameras[c].world_to_camera.tolist() for c in numbers]] * frames,
            "fn": [[f"{c}/{t:06d}.jpg" for c in numbers] for t in range(frames)],
            "cam_id": [numbers] * frames,
        }
        (folder / f"{part}_meta.json").write_text(json.dumps(meta))
    for number in cameras:
        for frame in range(1 if number == 2 else frames):
            write_picture(folder / "ims" / str(number) / f"{frame:06d}.jpg", seed=10 * number + frame)
    return cameras


def edit(folder: Path, **changes) -> None:
    file = folder / "train_meta.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def test_the_first_moment(tmp_path: Path) -> None:
    cameras = write_clip(tmp_path)
    scene = open_scene(tmp_path)
    assert scene.train == ("1/000000.jpg", "2/000000.jpg", "4/000000.jpg")
    assert scene.test == ("0/000000.jpg", "3/000000.jpg")
    for view in scene.views:
        assert_same_camera(view.camera, cameras[int(view.name[0])])
    assert frame_count(tmp_path) == 3


def test_a_later_moment_lacks_a_camera(tmp_path: Path) -> None:
    write_clip(tmp_path)
    scene = open_scene(tmp_path, frame=2)
    assert scene.train == ("1/000002.jpg", "4/000002.jpg")
    assert "frame 2 has no picture from 1 cameras: 2/000002.jpg" in scene.warnings
    first = open_scene(tmp_path, frame=0).views[0].image
    assert np.abs(first - scene.views[0].image).max() > 0.02
    with pytest.raises(ReconError, match="has frames 0 to 2, not 3"):
        open_scene(tmp_path, frame=3)


def test_fewer_inputs_and_a_split_by_camera(tmp_path: Path) -> None:
    write_clip(tmp_path)
    scene = open_scene(tmp_path, views=2)
    assert scene.train == ("1/000000.jpg", "4/000000.jpg") and len(scene.test) == 2


def test_no_pictures_at_all(tmp_path: Path) -> None:
    write_clip(tmp_path)
    (tmp_path / "ims").rename(tmp_path / "elsewhere")
    with pytest.raises(ReconError, match="none of the pictures of frame 0 exists under"):
        read_multi_camera(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"w": None}, "w must be the pictures' size in pixels"),
        ({"fn": []}, "must list the same frames"),
        ({"k": 5}, "must list the same frames"),
        ({"cam_id": [[1, 2]] * 3}, "do not belong together"),
        ({"k": [[[1, 2], [3]]] * 3}, "do not belong together"),
        ({"fn": [None] * 3}, "do not belong together"),
        ({"fn": [["../../secret", 3, "b"]] * 3}, "do not belong together"),
        ({"w2c": [[np.zeros((4, 4)).tolist()] * 3] * 3}, "camera 1: .* singular"),
    ],
)
def test_malformed_files(tmp_path: Path, changes: dict, message: str) -> None:
    write_clip(tmp_path)
    edit(tmp_path, **changes)
    with pytest.raises(ReconError, match=message):
        read_multi_camera(tmp_path)
