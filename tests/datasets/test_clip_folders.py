"""Clips in folders of pictures beside a file of cameras."""

from pathlib import Path

import numpy as np
import pytest
from make_clips import (
    SIZE,
    entry,
    seed_of,
    square_cameras,
    write_colmap_file,
    write_frame,
    write_rows,
    write_transforms_file,
)
from make_pictures import assert_same_camera, ring_cameras, smooth_picture, write_picture

from recon.datasets.clips import Clip, open_clip
from recon.errors import ReconError
from recon.scene import Camera

NAMES = ("left", "middle", "right")


def write_folders(folder: Path, names: tuple[str, ...] = NAMES, frames: int = 3, **options) -> None:
    for number, name in enumerate(names):
        for frame in range(frames):
            write_frame(folder / name, number, frame, **options)


def assert_is(clip: Clip, cameras: list[Camera], frames: int = 3, names: tuple[str, ...] = NAMES) -> None:
    assert len(clip) == frames
    for frame in range(frames):
        scene = clip.scene(frame)
        assert tuple(view.name for view in scene.views) == names and scene.warnings == ()
        for number, view in enumerate(scene.views):
            assert_same_camera(view.camera, cameras[number], 1e-6)
            expected = smooth_picture(*SIZE, seed=seed_of(number, frame)).astype(np.float32) / 255
            np.testing.assert_array_equal(view.image, expected)


@pytest.mark.parametrize(
    ("listed", "place"),
    [
        ("{name}", "{name}"),  # the folder
        ("images/{name}", "images/{name}"),
        ("{name}.png", "{name}"),  # a picture called like the folder
        ("images/{name}.png", "images/{name}"),
        ("{name}.png", "images/{name}"),
        ("./{name}/000000.png", "{name}"),  # the first picture
        ("images/{name}/frame_000.png", "images/{name}"),
        ("{name}/000000.png", "frames/{name}"),
    ],
)
def test_one_entry_per_camera(tmp_path: Path, listed: str, place: str) -> None:
    cameras = ring_cameras(3)
    write_folders(tmp_path, tuple(place.format(name=name) for name in NAMES))
    entries = [entry(camera, listed.format(name=name)) for name, camera in zip(NAMES, cameras, strict=True)]
    write_transforms_file(tmp_path, entries, fps=24, test_filenames=[entries[1]["file_path"]])
    clip = open_clip(tmp_path)
    assert clip.fps == 24 and (clip.train, clip.test) == (("left", "right"), ("middle",))
    assert_is(clip, cameras)


def test_one_entry_per_picture(tmp_path: Path) -> None:
    cameras = ring_cameras(3)
    write_folders(tmp_path)
    entries = [
        entry(camera, f"{name}/{frame:06d}.png")
        for frame in range(3)
        for name, camera in zip(NAMES, cameras, strict=True)
    ]
    write_transforms_file(tmp_path, entries, test_filenames=[f"left/{frame:06d}.png" for frame in range(3)])
    clip = open_clip(tmp_path)
    assert clip.test == ("left",)
    assert_is(clip, cameras)


def test_a_moving_camera(tmp_path: Path) -> None:
    cameras = ring_cameras(4)
    write_folders(tmp_path, NAMES[:2])
    still = [entry(cameras[0], f"left/{frame:06d}.png") for frame in range(3)]
    moving = [entry(cameras[1 + frame], f"middle/{frame:06d}.png") for frame in range(2)]
    write_transforms_file(tmp_path, still + moving)
    clip = open_clip(tmp_path)
    assert len(clip) == 2  # nobody knows where the third picture was taken
    for frame in range(2):
        assert_same_camera(clip.scene(frame).view("middle").camera, cameras[1 + frame])


@pytest.mark.parametrize("listed", ["{name}.png", "{name}/000000.png"])
def test_a_colmap_model(tmp_path: Path, listed: str) -> None:
    cameras = ring_cameras(3)
    write_folders(tmp_path / "images")
    write_colmap_file(tmp_path, cameras, [listed.format(name=name) for name in NAMES])
    clip = open_clip(tmp_path)
    assert (clip.train, clip.test) == (NAMES, ())
    assert_is(clip, cameras)
    assert open_clip(tmp_path, test_cameras=["left"]).train == ("middle", "right")


def test_rows_of_llff(tmp_path: Path) -> None:
    cameras = square_cameras(3)
    write_folders(tmp_path / "images")
    write_rows(tmp_path, cameras)
    clip = open_clip(tmp_path)
    assert (clip.train, clip.test) == (("middle", "right"), ("left",))
    assert_is(clip, cameras)
    assert clip.scene(0).bounds == pytest.approx((1.1, 11.0))  # of the training cameras only
    assert open_clip(tmp_path, test_cameras=["right"]).train == ("left", "middle")
    write_rows(tmp_path, cameras[:2])
    with pytest.raises(ReconError, match=r"has 2 poses, but .* has 3 videos or folders"):
        open_clip(tmp_path)


def test_numbers_pair_the_pictures(tmp_path: Path) -> None:
    """A dropped picture shifts nothing; numbers may start anywhere, have gaps, and need no zeros."""
    write_transforms_file(tmp_path, [entry(c, n) for c, n in zip(ring_cameras(3), NAMES, strict=True)])
    for number, name in enumerate(NAMES):
        for frame in (5, 7, 9, 11):
            if (name, frame) != ("middle", 7):
                write_frame(tmp_path / name, number, frame, name=f"cam{number}_{{frame}}.png")
    clip = open_clip(tmp_path)
    assert len(clip) == 4
    assert [len(clip.scene(frame).views) for frame in range(4)] == [3, 2, 3, 3]
    expected = smooth_picture(*SIZE, seed=seed_of(1, 11)).astype(np.float32) / 255
    np.testing.assert_array_equal(clip.scene(3).view("middle").image, expected)


def test_pictures_without_numbers_pair_by_name(tmp_path: Path) -> None:
    write_transforms_file(tmp_path, [entry(c, n) for c, n in zip(ring_cameras(2), NAMES[:2], strict=True)])
    for name in NAMES[:2]:
        for seed, moment in enumerate(("after", "before")):
            write_picture(tmp_path / name / f"{moment}.png", *SIZE, seed=seed)
    assert len(open_clip(tmp_path)) == 2
    (tmp_path / "left" / "after.png").rename(tmp_path / "left" / "one.png")
    (tmp_path / "left" / "before.png").rename(tmp_path / "left" / "two.png")
    with pytest.raises(ReconError, match=r"no frame that all of them have.*name their pictures alike"):
        open_clip(tmp_path)


def test_two_pictures_of_one_moment(tmp_path: Path) -> None:
    write_transforms_file(tmp_path, [entry(c, n) for c, n in zip(ring_cameras(2), NAMES[:2], strict=True)])
    write_folders(tmp_path, NAMES[:2])
    write_picture(tmp_path / "left" / "000001.jpg", *SIZE)
    with pytest.raises(ReconError, match=r"two pictures of one moment, 000001\.jpg and 000001\.png"):
        open_clip(tmp_path)


def test_cameras_without_a_folder(tmp_path: Path) -> None:
    write_transforms_file(tmp_path, [entry(c, n) for c, n in zip(ring_cameras(3), NAMES, strict=True)])
    with pytest.raises(ReconError, match=r"no folder of pictures and no video for any of them, e\.g\. left"):
        open_clip(tmp_path)
    write_folders(tmp_path, NAMES[:2])
    clip = open_clip(tmp_path)
    assert clip.train == NAMES[:2]
    assert "transforms.json lists cameras without a folder or video, left out: right" in clip.warnings


def test_still_photos_are_no_clip(tmp_path: Path) -> None:
    cameras = ring_cameras(3)
    for number in range(3):
        write_picture(tmp_path / "images" / f"{number}.png", *SIZE)
    write_transforms_file(tmp_path, [entry(c, f"images/{n}.png") for n, c in enumerate(cameras)])
    with pytest.raises(
        ReconError, match=r"transforms\.json lists 3 cameras or pictures, but there is no folder"
    ):
        open_clip(tmp_path)


def test_a_growing_folder(tmp_path: Path) -> None:
    cameras = ring_cameras(2)
    names = NAMES[:2]
    write_transforms_file(
        tmp_path, [entry(c, f"{n}/000000.png") for c, n in zip(cameras, names, strict=True)]
    )
    clip = open_clip(tmp_path, growing=True)
    assert len(clip) == 0 and clip.train == names
    write_folders(tmp_path, names, frames=2)
    late = write_frame(tmp_path / "left", 0, 2)
    content = late.read_bytes()
    late.write_bytes(content[: len(content) // 2])
    write_frame(tmp_path / "middle", 1, 2)
    clip.refresh()
    assert len(clip) == 2
    late.write_bytes(content)
    clip.refresh()
    assert_is(clip, cameras, 3, names)
    write_frame(tmp_path / "left", 0, 4)
    write_frame(tmp_path / "middle", 1, 4)
    clip.refresh()
    assert len(clip) == 4
    write_frame(tmp_path / "left", 0, 3)  # too late: frame 3 has been counted with the pictures of 4
    write_frame(tmp_path / "middle", 1, 3)
    clip.refresh()
    assert len(clip) == 4
    expected = smooth_picture(*SIZE, seed=seed_of(0, 4)).astype(np.float32) / 255
    np.testing.assert_array_equal(clip.scene(3).view("left").image, expected)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("../secret/0.png", "must be a plain path inside"),
        ("/etc/0.png", "must be a plain path inside"),
        ("left/\udcff.png", "must be a plain path inside"),
        ("left/" * 100, "a path of 500 characters"),
    ],
)
def test_paths_that_lead_nowhere(tmp_path: Path, path: str, message: str) -> None:
    cameras = ring_cameras(2)
    write_transforms_file(tmp_path, [entry(cameras[0], path), entry(cameras[1], "right")])
    with pytest.raises(ReconError, match=message):
        open_clip(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"w": None}, "w must be a finite number"),
        ({"file_path": 3}, "frame 0 has no file_path"),
        ({"fl_x": -1}, "positive focal lengths"),
        ({"camera_model": "TOY"}, "camera model TOY is not supported"),
    ],
)
def test_malformed_transforms(tmp_path: Path, change: dict, message: str) -> None:
    write_folders(tmp_path)
    cameras = ring_cameras(2)
    write_transforms_file(tmp_path, [{**entry(cameras[0], "left"), **change}, entry(cameras[1], "right")])
    with pytest.raises(ReconError, match=message):
        open_clip(tmp_path)
    write_transforms_file(tmp_path, [])
    with pytest.raises(ReconError, match="has no list of frames"):
        open_clip(tmp_path)
