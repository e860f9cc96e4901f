"""Clips in the layout of Dynamic 3D Gaussians, and what all layouts share."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from make_clips import SIZE, seed_of, write_frame, write_meta
from make_pictures import assert_same_camera, ring_cameras, smooth_picture

from recon.datasets.clips import open_clip
from recon.datasets.posed_view import decode
from recon.errors import ReconError
from recon.scene import Camera
from recon.synth.layout import clip_meta


def write_clip(
    folder: Path, frames: int = 4, lengths: dict[int, int] | None = None, **options
) -> dict[int, Camera]:
    """Write cameras 1, 2, 10 and, held out, 0 and 3; `lengths` cuts some short."""
    cameras = write_meta(folder, [2, 1, 10], [0, 3], frames, **options)
    for number in (0, 1, 2, 3, 10):
        for frame in range((lengths or {}).get(number, frames)):
            write_frame(folder / "ims" / str(number), number, frame)
    return cameras


def picture(camera: int, frame: int) -> np.ndarray:
    return smooth_picture(*SIZE, seed=seed_of(camera, frame)).astype(np.float32) / 255


def test_every_moment_has_all_cameras(tmp_path: Path) -> None:
    cameras = write_clip(tmp_path, fps=25)
    clip = open_clip(tmp_path)
    assert (clip.name, clip.fps, len(clip)) == (tmp_path.name, 25.0, 4)
    assert (clip.train, clip.test, clip.warnings) == (("1", "2", "10"), ("0", "3"), ())
    for frame in range(4):
        scene = clip.scene(frame)
        assert [view.name for view in scene.views] == ["0", "1", "2", "3", "10"]
        assert (scene.train, scene.test, scene.warnings) == (("1", "2", "10"), ("0", "3"), ())
        for view in scene.views:
            assert_same_camera(view.camera, cameras[int(view.name)])
            np.testing.assert_array_equal(view.image, picture(int(view.name), frame))


def test_what_synth_writes(tmp_path: Path) -> None:
    cameras = ring_cameras(3)
    for held_out, name in ((False, "train_meta.json"), (True, "test_meta.json")):
        numbers = [2] if held_out else [0, 1]
        rows = [[(cameras[c], c, f"{c}/{frame:06d}.png") for c in numbers] for frame in range(2)]
        (tmp_path / name).write_text(json.dumps(clip_meta(rows, SIZE, 12.5)))
    for number in range(3):
        for frame in range(2):
            write_frame(tmp_path / "ims" / str(number), number, frame)
    clip = open_clip(tmp_path)
    assert (len(clip), clip.fps, clip.train, clip.test) == (2, 12.5, ("0", "1"), ("2",))
    assert_same_camera(clip.scene(1).view("2").camera, cameras[2])


def test_pictures_shrink(tmp_path: Path) -> None:
    write_clip(tmp_path)
    assert open_clip(tmp_path, max_size=16).scene(0).views[0].image.shape == (12, 16, 3)
    assert open_clip(tmp_path, downscale=4).scene(0).views[0].camera.width == 8


@pytest.mark.parametrize(
    ("choice", "train", "test"),
    [
        ({"cameras": [1, "10"], "test_cameras": ["3"]}, ("1", "10"), ("3",)),
        ({"cameras": ["1"]}, ("1",), ("0", "3")),
        ({"cameras": ["0", "1"]}, ("0", "1"), ("3",)),  # who asks to train on a held-out camera gets it
        ({"test_cameras": ["2"]}, ("1", "10"), ("2",)),  # what the files hold out is not trained on
        ({"test_cameras": ()}, ("1", "2", "10"), ()),
    ],
)
def test_choosing_cameras(tmp_path: Path, choice: dict, train: tuple, test: tuple) -> None:
    write_clip(tmp_path)
    clip = open_clip(tmp_path, **choice)
    assert (clip.train, clip.test) == (train, test)
    scene = clip.scene(1)
    assert (scene.train, scene.test) == (train, test) and len(scene.views) == len(train) + len(test)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"cameras": ["4"]}, "has no camera '4': it has 0, 1, 2, 3, 10"),
        ({"cameras": ["1"], "test_cameras": ["1"]}, "camera 1 cannot be both"),
        ({"test_cameras": ["1", "2", "10"]}, "no training camera left"),
        ({"start": 4}, "nothing from frame 4 on"),
        ({"start": -1}, "starts at frame 0 or later"),
        ({"start": 2, "frames": 3}, "has 2 frames from frame 2 on in all of its 3 training cameras, not 3"),
        ({"fps": 0}, "must be a positive number"),
    ],
)
def test_impossible_choices(tmp_path: Path, choice: dict, message: str) -> None:
    write_clip(tmp_path)
    with pytest.raises(ReconError, match=message):
        open_clip(tmp_path, **choice)


def test_a_part_of_the_clip(tmp_path: Path) -> None:
    write_clip(tmp_path)
    clip = open_clip(tmp_path, start=1, frames=2, fps=10)
    assert len(clip) == 2 and clip.fps == 10
    np.testing.assert_array_equal(clip.scene(1).view("2").image, picture(2, 2))
    for frame in (-1, 2):
        with pytest.raises(ReconError, match=f"has frames 0 to 1, not {frame}"):
            clip.scene(frame)


def test_the_shortest_camera_ends_the_clip(tmp_path: Path) -> None:
    write_clip(tmp_path, lengths={2: 2, 3: 1})
    clip = open_clip(tmp_path)
    assert len(clip) == 2
    assert "cameras have between 2 and 4 frames: the clip ends with the shortest (camera 2)" in clip.warnings
    assert "30 assumed" in clip.warnings[0] and clip.fps == 30
    scene = clip.scene(1)
    assert scene.test == ("0",)
    assert scene.warnings == ("frame 1 has no picture from camera 3; left out",)
    longer = open_clip(tmp_path, cameras=[1, 10], test_cameras=[0], fps=30)
    assert len(longer) == 4 and longer.warnings == ()


def test_a_dropped_picture_and_an_absent_camera(tmp_path: Path) -> None:
    write_clip(tmp_path, fps=30, lengths={10: 0})
    (tmp_path / "ims" / "2" / "000001.png").unlink()
    clip = open_clip(tmp_path)
    assert len(clip) == 4 and clip.train == ("1", "2")
    assert clip.warnings == ("there is no picture at all from camera 10; left out",)
    assert clip.scene(1).train == ("1",)
    assert clip.scene(1).warnings == ("frame 1 has no picture from camera 2; left out",)
    with pytest.raises(ReconError, match="no picture at all from camera 10: choose others"):
        open_clip(tmp_path, cameras=[1, 10])


def test_no_common_moment(tmp_path: Path) -> None:
    write_clip(tmp_path, lengths={1: 1})
    (tmp_path / "ims" / "2" / "000000.png").unlink()
    with pytest.raises(ReconError, match="no frame that all of them have"):
        open_clip(tmp_path)


def test_a_growing_folder(tmp_path: Path) -> None:
    write_meta(tmp_path, [1, 2], [0], 5)
    clip = open_clip(tmp_path, growing=True)
    assert len(clip) == 0
    with pytest.raises(ReconError, match="has no frame yet, not 0"):
        clip.scene(0)
    write_frame(tmp_path / "ims" / "1", 1, 0)
    half = write_frame(tmp_path / "ims" / "2", 2, 0)
    content = half.read_bytes()
    half.write_bytes(content[: len(content) // 2])
    clip.refresh()
    assert len(clip) == 0  # one of the pictures is not whole yet
    half.write_bytes(content)
    clip.refresh()
    assert len(clip) == 1 and clip.scene(0).train == ("1", "2")
    for frame in (1, 2):
        write_frame(tmp_path / "ims" / "1", 1, frame)
    write_frame(tmp_path / "ims" / "2", 2, 2)  # camera 2 dropped frame 1
    clip.refresh()
    assert len(clip) == 3 and clip.scene(1).train == ("1",) and clip.scene(2).train == ("1", "2")
    half.unlink()
    clip.refresh()
    assert len(clip) == 3  # frames that were counted stay


def test_lists_that_grow_along(tmp_path: Path) -> None:
    write_meta(tmp_path, [1, 2], [0], 1)
    for frame in (0, 1):
        for camera in (0, 1, 2):
            write_frame(tmp_path / "ims" / str(camera), camera, frame)
    clip = open_clip(tmp_path, growing=True)
    assert len(clip) == 1
    file = tmp_path / "train_meta.json"
    file.write_text(file.read_text()[:100])  # somebody is writing it
    clip.refresh()
    assert len(clip) == 1
    write_meta(tmp_path, [1], [0], 2)
    clip.refresh()
    assert len(clip) == 1 and clip.scene(0).train == ("1", "2")  # cameras stay the same
    write_meta(tmp_path, [1, 2], [0], 2)
    clip.refresh()
    assert len(clip) == 2


def test_only_what_is_asked_for_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_clip(tmp_path)
    decoded: list[str] = []

    def counting(path: Path, **options):
        decoded.append(f"{path.parent.name}/{path.name}")
        return decode(path, **options)

    monkeypatch.setattr("recon.datasets.posed_view.decode", counting)
    scene = open_clip(tmp_path).scene(2)
    assert decoded == []
    assert scene.view("10").image is scene.view("10").image
    assert decoded == ["10/000002.png"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"w": None}, "w must be the pictures' size in pixels"),
        ({"fn": []}, "must list the same frames"),
        ({"cam_id": [[1, 2]] * 4}, "3 file names and 2 camera numbers do not belong together"),
        ({"fn": [["../../secret.png", "1/0.png", "10/0.png"]] * 4}, "must be a plain path"),
        ({"cam_id": [[2, 1, 0]] * 4}, "camera 0 is in both train_meta.json and test_meta.json"),
    ],
)
def test_malformed_lists(tmp_path: Path, changes: dict, message: str) -> None:
    write_clip(tmp_path)
    file = tmp_path / "train_meta.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))
    with pytest.raises(ReconError, match=message):
        open_clip(tmp_path)


def test_folders_that_hold_no_clip(tmp_path: Path) -> None:
    with pytest.raises(ReconError, match="does not exist: give the folder that holds the clip"):
        open_clip(tmp_path / "nowhere")
    write_frame(tmp_path, 0, 0)
    with pytest.raises(
        ReconError, match=r"no clip in a supported layout: it holds 1 \.png. Supported are\n  meta"
    ):
        open_clip(tmp_path)
    write_meta(tmp_path, [1], [], 1)
    (tmp_path / "test_meta.json").unlink()
    with pytest.raises(ReconError, match="has one camera only"):
        open_clip(tmp_path)


@pytest.mark.real_data
@pytest.mark.skipif("RECON_DATA" not in os.environ, reason="RECON_DATA is not set")
def test_panoptic_basketball() -> None:
    folder = Path(os.environ["RECON_DATA"]) / "panoptic_basketball"
    if not folder.exists():
        pytest.skip("RECON_DATA has no panoptic_basketball")
    every = open_clip(folder)
    assert (len(every.train), every.test, len(every)) == (27, ("0", "10", "15", "30"), 30)
    assert "cameras have between 30 and 150 frames" in every.warnings[1]
    scene = every.scene(29)
    assert len(scene.views) == 31 and scene.warnings == ()
    few = open_clip(folder, cameras=[1, 9, 18, 23], test_cameras=[30], max_size=320)
    assert (few.train, few.test, len(few)) == (("1", "9", "18", "23"), ("30",), 150)
    first, last = few.scene(0).view("9"), few.scene(149).view("9")
    assert first.image.shape == (180, 320, 3) and np.abs(first.image - last.image).mean() > 0.005
    assert len(open_clip(folder, growing=True)) == 30
