from pathlib import Path

import numpy as np
import pytest
from make_pictures import assert_same_camera, ring_cameras, write_picture

from recon.datasets import PictureSize, open_scene
from recon.datasets.llff import read_llff
from recon.errors import ReconError
from recon.scene import Camera, Scene


def square_cameras(count: int) -> list[Camera]:
    """LLFF knows one focal length and a principal point in the middle."""
    return [
        Camera(camera.world_to_camera, camera.fx, camera.fx, 32, 24, 64, 48)
        for camera in ring_cameras(count, 64, 48)
    ]


def write_llff(folder: Path, cameras: list[Camera], factors: tuple[int, ...] = (1,)) -> None:
    """Write the layout by its definition: columns down, right, backwards, position, [height, width, focal]."""
    rows = []
    for number, camera in enumerate(cameras):
        right, down, forward = camera.world_to_camera[:3, :3]
        columns = [down, right, -forward, camera.center, [camera.height, camera.width, camera.fx]]
        rows.append([*np.stack(columns, axis=1).ravel(), 1.0 + 0.1 * number, 9.0 + number])
    np.save(folder / "poses_bounds.npy", np.array(rows))
    for factor in factors:
        images = folder / ("images" if factor == 1 else f"images_{factor}")
        for number in range(len(cameras)):
            write_picture(images / f"IMG_{number:02d}.png", 64 // factor, 48 // factor, number)


def test_cameras_and_pictures(tmp_path: Path) -> None:
    cameras = square_cameras(4)
    write_llff(tmp_path, cameras)
    scene = read_llff(tmp_path)
    assert scene.train == ("IMG_00.png", "IMG_01.png", "IMG_02.png", "IMG_03.png") and scene.test == ()
    assert scene.bounds == pytest.approx((1.0, 12.0))
    for view, camera in zip(scene.views, cameras, strict=True):
        assert_same_camera(view.camera, camera)
        assert view.image.shape == (48, 64, 3) and view.mask is None and view.valid is None


@pytest.mark.parametrize(
    ("factors", "downscale", "expected"),
    [
        ((1, 4, 8), 8, (8, 6)),  # the folder of that factor
        ((1, 4), 8, (8, 6)),  # the finest below, shrunk further
        ((1,), 8, (8, 6)),
        ((1, 4, 8), None, (64, 48)),  # the finest there is
        ((4, 8), None, (16, 12)),
        ((8,), 4, (8, 6)),  # nothing finer exists
    ],
)
def test_image_folders_and_downscale(tmp_path: Path, factors, downscale, expected) -> None:
    cameras = square_cameras(3)
    write_llff(tmp_path, cameras, factors)
    for view, camera in zip(
        read_llff(tmp_path, PictureSize(downscale=downscale)).views, cameras, strict=True
    ):
        assert_same_camera(view.camera, camera.resized(*expected))
        assert view.image.shape == (expected[1], expected[0], 3)


def test_protocol_split_and_bounds_of_the_inputs_only(tmp_path: Path) -> None:
    write_llff(tmp_path, square_cameras(20), (1, 8))
    scene: Scene = open_scene(tmp_path, protocol="llff", views=3)
    assert scene.test == ("IMG_00.png", "IMG_08.png", "IMG_16.png")
    assert scene.train == ("IMG_01.png", "IMG_10.png", "IMG_19.png")
    assert scene.views[0].camera.width == 8
    assert scene.bounds == pytest.approx((1.1, 28.0))


def test_wrong_counts_and_shapes(tmp_path: Path) -> None:
    write_llff(tmp_path, square_cameras(4))
    (tmp_path / "images" / "IMG_03.png").unlink()
    with pytest.raises(ReconError, match=r"has 4 poses, but .*images has 3 images"):
        read_llff(tmp_path)
    np.save(tmp_path / "poses_bounds.npy", np.zeros((4, 15)))
    with pytest.raises(ReconError, match=r"one row of 17 numbers per image, got shape \(4, 15\)"):
        read_llff(tmp_path)


def test_unusable_cameras(tmp_path: Path) -> None:
    write_llff(tmp_path, square_cameras(3))
    good = np.load(tmp_path / "poses_bounds.npy")
    for column, value, message in [
        (3, np.nan, "NaN"),
        (14, 0.0, "non-positive"),
        (0, 9.0, "IMG_01.png.*singular"),
    ]:
        table = good.copy()
        table[1, column] = value
        np.save(tmp_path / "poses_bounds.npy", table)
        with pytest.raises(ReconError, match=message):
            read_llff(tmp_path)


def test_malicious_arrays_are_not_believed(tmp_path: Path) -> None:
    write_llff(tmp_path, square_cameras(3))
    file = tmp_path / "poses_bounds.npy"
    np.save(file, np.array([{"pickled": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ReconError, match="not a readable array of numbers"):
        read_llff(tmp_path)
    np.save(file, np.zeros((3, 17)))
    claimed = file.read_bytes().replace(b"(3, 17)", b"(30000000000000, 17)".ljust(7))
    file.write_bytes(claimed)
    with pytest.raises(ReconError, match="not a readable array of numbers"):
        read_llff(tmp_path)


def test_pictures_of_another_shape(tmp_path: Path) -> None:
    write_llff(tmp_path, square_cameras(3))
    write_picture(tmp_path / "images" / "IMG_01.png", 48, 64)
    with pytest.raises(ReconError, match=r"IMG_01.png is 48x64, but its camera is for a picture of 64x48"):
        read_llff(tmp_path)


def test_no_image_folder(tmp_path: Path) -> None:
    write_llff(tmp_path, square_cameras(3), factors=())
    with pytest.raises(ReconError, match=r"but no images/ or images_N/: it holds 1 \.npy"):
        read_llff(tmp_path)
