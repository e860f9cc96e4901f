import struct
from pathlib import Path

import numpy as np
import pycolmap
import pytest
from make_pictures import assert_same_camera, ring_cameras, write_picture
from PIL import Image

from recon.datasets import PictureSize, open_scene, undistort
from recon.datasets.colmap import camera_of, read_colmap
from recon.datasets.colmap_model import ColmapCamera, ColmapImage, read_model
from recon.errors import ReconError
from recon.scene import Camera

TRACKS = [(0, 1), (2, 3), (0, 2), (1, 3, 5), (4, 5), (0, 1, 2, 3)]


def write_colmap_scene(
    folder: Path, model: str = "PINHOLE", extra: tuple[float, ...] = (), text: bool = False, count: int = 6
) -> list[Camera]:
    """Let COLMAP's own library write a model whose images share one camera per picture."""
    cameras = ring_cameras(count)
    reconstruction = pycolmap.Reconstruction()
    for number, camera in enumerate(cameras):
        two_focal = model in ("PINHOLE", "OPENCV", "OPENCV_FISHEYE", "FULL_OPENCV")
        focal = [camera.fx, camera.fy] if two_focal else [camera.fx]
        key = 2 * number + 5
        reconstruction.add_camera_with_trivial_rig(
            pycolmap.Camera(
                model=model,
                width=camera.width,
                height=camera.height,
                params=[*focal, camera.cx, camera.cy, *extra],
                camera_id=key,
            )
        )
        image = pycolmap.Image(name=f"{number} view.png", camera_id=key, image_id=3 * number + 1)
        image.points2D = pycolmap.Point2DList(
            [pycolmap.Point2D(np.array([i, 1.0])) for i in range(len(TRACKS))]
        )
        pose = camera.world_to_camera
        rigid = pycolmap.Rigid3d(pycolmap.Rotation3d(pose[:3, :3]), pose[:3, 3])
        reconstruction.add_image_with_trivial_frame(image, rigid)
        write_picture(folder / "images" / f"{number} view.png", camera.width, camera.height, number)
    for row, views in enumerate(TRACKS):
        track = pycolmap.Track()
        for view in views:
            track.add_element(3 * view + 1, row)
        reconstruction.add_point3D(np.array([row, 0.5, -row]), track, np.array([row, 10, 200], np.uint8))
    sparse = folder / "sparse" / "0"
    sparse.mkdir(parents=True)
    reconstruction.write_text(sparse) if text else reconstruction.write_binary(sparse)
    return cameras


def write_views_split(folder: Path, train: list[int], test: list[int]) -> Path:
    names = [[f"{i} view" for i in part] for part in (train, test)]
    file = folder / "split.json"
    file.write_text(str({"train": names[0], "test": names[1]}).replace("'", '"'))
    return file


@pytest.mark.parametrize("text", [False, True])
def test_binary_and_text(tmp_path: Path, text: bool) -> None:
    cameras = write_colmap_scene(tmp_path, text=text)
    scene = open_scene(tmp_path)
    assert scene.train == tuple(f"{i} view.png" for i in range(6)) and scene.test == ()
    for view, camera in zip(scene.views, cameras, strict=True):
        assert_same_camera(view.camera, camera)
        assert view.image.shape == (24, 32, 3) and view.valid is None
    assert scene.points is not None
    np.testing.assert_array_equal(scene.points.positions, [[i, 0.5, -i] for i in range(6)])
    np.testing.assert_array_equal(scene.points.colors, [[i, 10, 200] for i in range(6)])


def test_the_model_folder_itself(tmp_path: Path) -> None:
    cameras = write_colmap_scene(tmp_path)
    scene = open_scene(tmp_path / "sparse" / "0")
    assert_same_camera(scene.views[3].camera, cameras[3])


def test_only_points_that_inputs_alone_placed(tmp_path: Path) -> None:
    write_colmap_scene(tmp_path)
    scene = open_scene(tmp_path, split=write_views_split(tmp_path, [0, 1, 2], [4]))
    assert scene.points is not None
    np.testing.assert_array_equal(scene.points.positions[:, 0], [0, 2])  # tracks (0, 1) and (0, 2)
    assert "kept 2 of the model's 6 points: those that input views alone placed" in scene.warnings
    scene = open_scene(tmp_path, split=write_views_split(tmp_path, [0, 4], [1]))
    assert scene.points is None
    assert "kept 0 of the model's 6 points: those that input views alone placed" in scene.warnings


def test_another_split_drops_points_that_it_would_leak(tmp_path: Path) -> None:
    write_colmap_scene(tmp_path)
    scene = open_scene(tmp_path, split=write_views_split(tmp_path, [0, 1, 2], [4]))
    assert scene.with_split(["0 view.png"], ["1 view.png"]).points is None
    assert scene.with_split(["0 view.png", "1 view.png", "2 view.png"], ["5 view.png"]).points is scene.points


LENSES = {
    "SIMPLE_PINHOLE": (100.0, 60.0, 45.0),
    "PINHOLE": (100.0, 104.0, 60.0, 45.0),
    "SIMPLE_RADIAL": (100.0, 60.0, 45.0, 0.08),
    "RADIAL": (100.0, 60.0, 45.0, 0.08, -0.03),
    "OPENCV": (100.0, 104.0, 60.0, 45.0, 0.08, -0.03, 0.002, -0.003),
    "FULL_OPENCV": (100.0, 104.0, 60.0, 45.0, 0.08, -0.03, 0.002, -0.003, 0.01, 0.02, -0.01, 0.005),
    "OPENCV_FISHEYE": (100.0, 104.0, 60.0, 45.0, 0.03, -0.02, 0.01, -0.002),
    "SIMPLE_RADIAL_FISHEYE": (100.0, 60.0, 45.0, 0.04),
    "RADIAL_FISHEYE": (100.0, 60.0, 45.0, 0.04, -0.01),
}


@pytest.mark.parametrize("model", LENSES)
def test_every_lens_as_colmap_projects(model: str) -> None:
    """Our camera and distortion must put points where COLMAP's own projection puts them."""
    lens = ColmapCamera(model, 128, 96, LENSES[model])
    camera, distortion = camera_of(lens, ColmapImage("a", 1, (1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0)))
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (40, 2))
    ours = distortion.apply(points) * [camera.fx, camera.fy] + [camera.cx, camera.cy]
    theirs = pycolmap.Camera(model=model, width=128, height=96, params=LENSES[model])
    expected = theirs.img_from_cam(np.column_stack([points, np.ones(40)]))
    np.testing.assert_allclose(ours, expected, atol=1e-9)


def test_distorted_pictures_are_straightened(tmp_path: Path) -> None:
    cameras = write_colmap_scene(tmp_path, "OPENCV", (0.2, 0.02, 0.001, 0.002))
    view = read_colmap(tmp_path).views[2]
    assert_same_camera(view.camera, cameras[2])
    stored = np.asarray(Image.open(tmp_path / "images" / "2 view.png"), np.float32) / 255
    _, distortion = camera_of(read_model(tmp_path / "sparse" / "0").cameras[9], _image())
    picture, valid = undistort(stored, cameras[2], distortion)
    np.testing.assert_array_equal(view.image, picture)
    np.testing.assert_array_equal(view.valid, valid)
    assert np.abs(stored - picture)[valid].max() > 0.02


def test_unsupported_lenses_name_the_remedy(tmp_path: Path) -> None:
    write_colmap_scene(tmp_path, "PINHOLE")
    file = tmp_path / "sparse" / "0" / "cameras.bin"
    data = bytearray(file.read_bytes())
    struct.pack_into("<i", data, 12, 77)
    file.write_bytes(data)
    with pytest.raises(ReconError, match=r"unknown model number 77: undistort the pictures first"):
        read_colmap(tmp_path)
    with pytest.raises(ReconError, match="camera model FOV is not supported: undistort the pictures first"):
        camera_of(ColmapCamera("FOV", 128, 96, (100.0, 100.0, 60.0, 45.0, 0.9)), _image())


def test_smaller_image_folders(tmp_path: Path) -> None:
    cameras = write_colmap_scene(tmp_path)
    shrunk = read_colmap(tmp_path, PictureSize(downscale=2)).views[1]
    for number in range(6):
        write_picture(tmp_path / "images_2" / f"{number} view.png", 16, 12, 50 + number)
    given = read_colmap(tmp_path, PictureSize(downscale=2)).views[1]
    for view in (shrunk, given):
        assert_same_camera(view.camera, cameras[1].resized(16, 12))
    assert np.abs(shrunk.image - given.image).max() > 0.05


def test_missing_pictures_and_masks(tmp_path: Path) -> None:
    write_colmap_scene(tmp_path)
    (tmp_path / "images" / "4 view.png").unlink()
    write_picture(tmp_path / "masks" / "1 view.png.png", 32, 24)
    scene = read_colmap(tmp_path)
    assert "the model lists 1 images that do not exist; they are left out: 4 view.png" in scene.warnings
    assert scene.view("1 view.png").mask is not None and scene.view("2 view.png").mask is None
    for file in (tmp_path / "images").iterdir():
        file.unlink()
    with pytest.raises(ReconError, match="lists 6 images, but none exists"):
        read_colmap(tmp_path)


def test_other_models_are_mentioned(tmp_path: Path) -> None:
    write_colmap_scene(tmp_path)
    (tmp_path / "sparse" / "1").mkdir()
    assert "COLMAP left several models; 0 is read and 1 ignored" in read_colmap(tmp_path).warnings


@pytest.mark.parametrize("name", ["cameras.bin", "images.bin", "points3D.bin"])
def test_wrong_counts_and_cut_files(tmp_path: Path, name: str) -> None:
    write_colmap_scene(tmp_path)
    file = tmp_path / "sparse" / "0" / name
    data = file.read_bytes()
    for count in (1 << 60, 10_000, 7):
        file.write_bytes(struct.pack("<Q", count) + data[8:])
        with pytest.raises(ReconError, match=rf"{name}: (it claims {count} entries|the file ends early)"):
            read_colmap(tmp_path)
    for length in (0, 5, 20, len(data) // 2, len(data) - 1):
        file.write_bytes(data[:length])
        with pytest.raises(ReconError, match=rf"{name}: "):
            read_colmap(tmp_path)


def test_every_cut_of_every_binary_file_is_a_sentence(tmp_path: Path) -> None:
    write_colmap_scene(tmp_path)
    folder = tmp_path / "sparse" / "0"
    for name in ("cameras.bin", "images.bin", "points3D.bin"):
        data = (folder / name).read_bytes()
        for length in range(0, len(data), 7):
            (folder / name).write_bytes(data[:length])
            with pytest.raises(ReconError):
                read_model(folder)
        (folder / name).write_bytes(data)
    read_model(folder)


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("cameras.txt", "PINHOLE", "NEWFANGLED", "names the unknown camera model NEWFANGLED"),
        ("cameras.txt", "PINHOLE 32 24", "PINHOLE 32", "PINHOLE has 4 parameters, found 3"),
        ("cameras.txt", "PINHOLE 32 24", "PINHOLE 0 24", "impossible picture size 0x24"),
        ("cameras.txt", "PINHOLE 32 24 30", "PINHOLE 32 24 nan", "NaN or infinite"),
        ("cameras.txt", "5 PINHOLE", "6 PINHOLE", "uses camera 5, which is not listed"),
        ("images.txt", "0 view.png", "", "is not IMAGE_ID QW"),
        ("images.txt", "0 view.png", "lost.png", None),
        ("points3D.txt", "0 0.5 0", "0 0.5 x", "not a COLMAP file"),
    ],
)
def test_damaged_text_files(tmp_path: Path, name: str, old: str, new: str, message: str | None) -> None:
    write_colmap_scene(tmp_path, text=True)
    file = tmp_path / "sparse" / "0" / name
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    if message is None:
        assert len(read_colmap(tmp_path).views) == 5
        return
    with pytest.raises(ReconError, match=message):
        read_colmap(tmp_path)


def test_zero_quaternions(tmp_path: Path) -> None:
    with pytest.raises(ReconError, match="quaternion must be finite and not zero"):
        camera_of(
            ColmapCamera("PINHOLE", 32, 24, (30.0, 30.0, 16.0, 12.0)),
            ColmapImage("a", 1, (0.0,) * 4, (0.0,) * 3),
        )


def test_incomplete_models(tmp_path: Path) -> None:
    write_colmap_scene(tmp_path)
    (tmp_path / "sparse" / "0" / "images.bin").unlink()
    with pytest.raises(ReconError, match=r"incomplete COLMAP model: images\.bin is missing"):
        read_colmap(tmp_path)


def _image() -> ColmapImage:
    return ColmapImage("a", 1, (1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
