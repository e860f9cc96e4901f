import json
import math
from pathlib import Path

import numpy as np
import pytest
from make_pictures import assert_same_camera, ring_cameras, write_picture
from PIL import Image

from recon.datasets import PictureSize, open_scene
from recon.datasets.posed_view import withheld_view
from recon.datasets.transforms import read_transforms
from recon.errors import ReconError
from recon.scene import Camera


def opengl(camera: Camera) -> list:
    """Camera to world with y up and z backwards, built column by column."""
    right, down, forward = camera.world_to_camera[:3, :3]
    matrix = np.eye(4)
    matrix[:3] = np.stack([right, -down, -forward, camera.center], axis=1)
    return matrix.tolist()


def write_scene(folder: Path, cameras: list[Camera], shared: dict | None = None, **changes) -> dict:
    """Write one picture per camera and a transforms.json with intrinsics per frame; return its content."""
    frames = []
    for number, camera in enumerate(cameras):
        write_picture(folder / "images" / f"{number}.png", camera.width, camera.height, number)
        intrinsics = {"fl_x": camera.fx, "fl_y": camera.fy, "cx": camera.cx, "cy": camera.cy}
        size = {"w": camera.width, "h": camera.height}
        frames.append(
            {"file_path": f"./images/{number}.png", "transform_matrix": opengl(camera), **intrinsics, **size}
        )
    content = {**(shared or {}), "frames": frames, **changes}
    (folder / "transforms.json").write_text(json.dumps(content))
    return content


def rewrite(folder: Path, content: dict) -> None:
    (folder / "transforms.json").write_text(json.dumps(content))


def test_intrinsics_per_frame(tmp_path: Path) -> None:
    cameras = ring_cameras(3)
    write_scene(tmp_path, cameras)
    for path in (tmp_path, tmp_path / "transforms.json"):
        scene = read_transforms(path)
        assert scene.train == ("0.png", "1.png", "2.png") and scene.name == tmp_path.name
        for view, camera in zip(scene.views, cameras, strict=True):
            assert_same_camera(view.camera, camera)
            assert view.image.shape == (24, 32, 3) and view.valid is None


def test_global_intrinsics_and_field_of_view(tmp_path: Path) -> None:
    camera = Camera(ring_cameras(1)[0].world_to_camera, 40.0, 40.0, 16.0, 12.0, 32, 24)
    content = write_scene(tmp_path, [camera, camera])
    frames = [{key: frame[key] for key in ("file_path", "transform_matrix")} for frame in content["frames"]]
    angle = 2 * math.atan(16 / 40)
    for shared in (
        {"camera_angle_x": angle},
        {"fl_x": 40.0, "w": 32, "h": 24.0},
        {
            "fl_x": 80.0,
            "fl_y": 80.0,
            "cx": 32,
            "cy": 24,
            "w": 64,
            "h": 48,
        },  # for the picture at twice its size
        {"camera_angle_x": angle, "camera_angle_y": 2 * math.atan(12 / 40)},
    ):
        rewrite(tmp_path, {**shared, "frames": frames})
        assert_same_camera(read_transforms(tmp_path).views[1].camera, camera)


def test_distortion_is_removed_and_the_camera_kept(tmp_path: Path) -> None:
    camera = Camera(ring_cameras(1)[0].world_to_camera, 40.0, 41.0, 33.0, 24.5, 64, 48)
    content = write_scene(tmp_path, [camera, camera], k1=0.15, k2=-0.01, p1=0.001, p2=0.0)
    view = read_transforms(tmp_path).views[0]
    assert_same_camera(view.camera, camera)
    assert view.valid is not None and 0.5 < view.valid.mean() < 1 and view.valid[24, 32]
    small = read_transforms(tmp_path, PictureSize(downscale=2)).views[0]
    assert_same_camera(small.camera, camera.resized(32, 24))
    whole = view.valid.reshape(24, 2, 32, 2).all(axis=(1, 3))  # valid only where the whole area is
    np.testing.assert_array_equal(small.valid, whole)
    averaged = view.image.reshape(24, 2, 32, 2, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(small.image[whole], averaged[whole], atol=1e-6)
    rewrite(tmp_path, {**content, "camera_model": "OPENCV_FISHEYE", "k1": 0.0, "k2": 0.0, "p1": 0.0})
    fisheye = read_transforms(tmp_path).views[0]
    assert np.abs(fisheye.image - view.image).max() > 0.02


def test_missing_pictures_are_left_out_with_a_warning(tmp_path: Path) -> None:
    write_scene(tmp_path, ring_cameras(4))
    (tmp_path / "images" / "2.png").unlink()
    scene = read_transforms(tmp_path)
    assert scene.train == ("0.png", "1.png", "3.png")
    assert scene.warnings == (
        "transforms.json lists 1 pictures that do not exist; they are left out: images/2.png",
    )
    for number in (0, 1, 3):
        (tmp_path / "images" / f"{number}.png").unlink()
    with pytest.raises(
        ReconError, match=r"lists 4 pictures, but none of them exists, e\.g\. .*images/0\.png"
    ):
        read_transforms(tmp_path)


def test_the_files_own_split(tmp_path: Path) -> None:
    write_scene(
        tmp_path,
        ring_cameras(4),
        train_filenames=["./images/3.png", "images/0.png"],
        test_filenames=["1.png"],
    )
    scene = open_scene(tmp_path)
    assert scene.train == ("3.png", "0.png") and scene.test == ("1.png",)
    (tmp_path / "images" / "0.png").unlink()
    assert open_scene(tmp_path).train == ("3.png",)
    content = json.loads((tmp_path / "transforms.json").read_text())
    for wrong, message in [
        (["7.png"], "names '7.png', which is not among"),
        ("3.png", "must be lists of picture names"),
    ]:
        rewrite(tmp_path, {**content, "train_filenames": wrong})
        with pytest.raises(ReconError, match=message):
            open_scene(tmp_path)


def test_masks(tmp_path: Path) -> None:
    content = write_scene(tmp_path, ring_cameras(2))
    mask = np.zeros((24, 32), np.uint8)
    mask[3:9, 4:20] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    content["frames"][0]["mask_path"] = "mask.png"
    rewrite(tmp_path, content)
    scene = read_transforms(tmp_path)
    np.testing.assert_array_equal(scene.views[0].mask, mask == 255)
    assert scene.views[1].mask is None
    Image.fromarray(mask[:-1]).save(tmp_path / "mask.png")
    with pytest.raises(ReconError, match=r"mask mask\.png is 32x23, but its picture is 32x24"):
        _ = read_transforms(tmp_path).views[0].mask


def test_same_file_names_in_two_folders_keep_their_folders(tmp_path: Path) -> None:
    content = write_scene(tmp_path, ring_cameras(2))
    write_picture(tmp_path / "more" / "0.png")
    content["frames"][1]["file_path"] = "more/0.png"
    rewrite(tmp_path, content)
    assert read_transforms(tmp_path).train == ("images/0.png", "more/0.png")
    content["frames"][1]["file_path"] = "images/0.png"
    rewrite(tmp_path, content)
    with pytest.raises(ReconError, match=r"images/0\.png is listed twice"):
        read_transforms(tmp_path)


def test_names_never_leave_the_folder(tmp_path: Path) -> None:
    """Renders are written under the views' names."""
    inner = tmp_path / "inner"
    content = write_scene(inner, ring_cameras(2))
    for folder in ("a", "b"):
        write_picture(tmp_path / folder / "0.png")
    for frame, folder in zip(content["frames"], "ab", strict=True):
        frame["file_path"] = f"../{folder}/0.png"
    rewrite(inner, content)
    assert read_transforms(inner).train == ("a/0.png", "b/0.png")
    for name in ("../evil.png", "/etc/evil.png", "a\nb.png", ""):
        with pytest.raises(ReconError, match="its name must be a plain path"):
            withheld_view(name, ring_cameras(1)[0], PictureSize())


def test_cameras_for_the_turned_picture(tmp_path: Path) -> None:
    """Where a camera's size says that the picture was turned by EXIF, so is the picture; else it stays as stored."""
    content = write_scene(tmp_path, ring_cameras(2))
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = write_picture(tmp_path / "images" / "0.png", 32, 24, exif=exif)
    np.testing.assert_allclose(read_transforms(tmp_path).views[0].image, pixels / 255, atol=1e-6)
    content["frames"][0].update({"w": 24, "h": 32, "cx": 12, "cy": 16})
    rewrite(tmp_path, content)
    view = read_transforms(tmp_path).views[0]
    np.testing.assert_allclose(view.image, pixels.transpose(1, 0, 2)[:, ::-1] / 255, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"transform_matrix": [[1, 0], [0, 1]]}, "4 rows of 4 numbers"),
        ({"transform_matrix": np.zeros((4, 4)).tolist()}, "singular"),
        ({"transform_matrix": None}, "4 rows of 4 numbers"),
        ({"transform_matrix": [["a"] * 4] * 4}, "4 rows of 4 numbers"),
        ({"fl_x": -5}, "positive focal lengths"),
        ({"fl_x": None}, "no focal length: expected fl_x"),
        ({"fl_x": "40"}, "fl_x must be a finite number, got '40'"),
        ({"w": 0}, "fx|size"),
        ({"file_path": 7}, "frame 1 has no file_path"),
        ({"camera_model": "EQUIRECTANGULAR"}, "camera model EQUIRECTANGULAR is not supported: undistort"),
        ({"h": 32, "w": 32}, r"1\.png is 32x24, but its camera is for a picture of 32x32"),
    ],
)
def test_unusable_frames(tmp_path: Path, change: dict, message: str) -> None:
    content = write_scene(tmp_path, ring_cameras(2))
    content["frames"][1].update(change)
    rewrite(tmp_path, content)
    with pytest.raises(ReconError, match=message):
        read_transforms(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not a readable JSON"),
        ("[]", "must hold a JSON object, not a list"),
        ("{}", "no list of frames"),
        ('{"frames": []}', "no list of frames"),
        ('{"frames": [3]}', "no list of frames"),
        ('{"frames": [{"file_path": "a.png", "transform_matrix": [[NaN]]}]}', "NaN"),
        ("\xff", "not a readable JSON"),
    ],
)
def test_malformed_files(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "transforms.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ReconError, match=message):
        read_transforms(tmp_path)
