from pathlib import Path

import numpy as np
import pytest
from make_pictures import assert_same_camera, ring_cameras, write_picture
from PIL import Image

from recon.datasets import open_scene
from recon.datasets.idr import read_idr
from recon.errors import ReconError
from recon.scene import Camera

SCALE = np.diag([2.0, 2.0, 2.0, 1.0])
SCALE[:3, 3] = [0.3, -0.2, 0.5]


def write_idr(folder: Path, cameras: list[Camera], scale: np.ndarray | None = SCALE, **changes) -> dict:
    arrays = {}
    for number, camera in enumerate(cameras):
        write_picture(folder / "image" / f"{number:06d}.png", camera.width, camera.height, number)
        mask = np.zeros((camera.height, camera.width, 3), np.uint8)
        mask[:, number:] = 255
        (folder / "mask").mkdir(exist_ok=True)
        Image.fromarray(mask).save(folder / "mask" / f"{number:03d}.png")
        world = np.eye(4)
        world[:3] = -3.5 * camera.matrix @ camera.world_to_camera[:3]
        arrays[f"world_mat_{number}"] = world
        if scale is not None:
            arrays[f"scale_mat_{number}"] = scale
    arrays.update(changes)
    np.savez(folder / "cameras_sphere.npz", **arrays)
    return arrays


def normalised(camera: Camera) -> Camera:
    """The camera in the world that scale_mat maps into the original one."""
    pose = camera.world_to_camera.copy()
    pose[:3, 3] = (pose[:3, :3] @ SCALE[:3, 3] + pose[:3, 3]) / 2.0
    return camera.moved(pose)


def test_cameras_in_the_normalised_world_and_masks(tmp_path: Path) -> None:
    cameras = ring_cameras(4)
    write_idr(tmp_path, cameras)
    scene = open_scene(tmp_path)
    assert scene.train == tuple(f"{i:06d}.png" for i in range(4))
    for number, (view, camera) in enumerate(zip(scene.views, cameras, strict=True)):
        assert_same_camera(view.camera, normalised(camera))
        assert view.mask is not None
        np.testing.assert_array_equal(view.mask[0], np.arange(32) >= number)


def test_without_scales_or_with_different_ones_the_world_is_the_calibrations(tmp_path: Path) -> None:
    cameras = ring_cameras(3)
    write_idr(tmp_path, cameras, scale=None)
    assert_same_camera(read_idr(tmp_path).views[2].camera, cameras[2])
    write_idr(tmp_path, cameras, scale_mat_1=np.eye(4))
    assert_same_camera(read_idr(tmp_path).views[2].camera, cameras[2])


def test_pictures_are_matched_by_number_when_some_are_absent(tmp_path: Path) -> None:
    cameras = ring_cameras(5)
    write_idr(tmp_path, cameras)
    (tmp_path / "image" / "000001.png").unlink()
    scene = read_idr(tmp_path)
    assert_same_camera(scene.view("000003.png").camera, normalised(cameras[3]))
    write_picture(tmp_path / "image" / "000007.png")
    write_picture(tmp_path / "image" / "000008.png")
    with pytest.raises(ReconError, match=r"has 5 cameras \(world_mat_i\), but there are 6 images"):
        read_idr(tmp_path)


def test_the_dtu_protocol(tmp_path: Path) -> None:
    base = ring_cameras(1)[0]
    write_idr(tmp_path, [base] * 64)
    scene = open_scene(tmp_path, protocol="dtu", views=6)
    assert scene.train == tuple(f"{i:06d}.png" for i in (25, 22, 28, 40, 44, 48))
    expected = [
        1,
        2,
        9,
        10,
        11,
        12,
        14,
        15,
        23,
        24,
        26,
        27,
        29,
        30,
        31,
        32,
        33,
        34,
        35,
        41,
        42,
        43,
        45,
        46,
        47,
    ]
    assert scene.test == tuple(f"{i:06d}.png" for i in expected)
    assert len(scene.test) == 25 and scene.views[0].camera.width == 8
    assert open_scene(tmp_path, protocol="dtu", views=3).test == scene.test


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"world_mat_1": np.zeros((4, 4))}, r"camera 1 \(000001.png\): a projection matrix is singular"),
        ({"world_mat_1": np.full((4, 4), np.nan)}, "world_mat_1 must be a finite 4x4"),
        ({"world_mat_1": np.eye(3)}, r"world_mat_1 must be a finite 4x4 matrix, got shape \(3, 3\)"),
        ({"world_mat_1": np.array([{}], dtype=object)}, "not a readable archive"),
        ({"padding": np.zeros(9_000_000)}, "would unpack to 72 MB"),
    ],
)
def test_unusable_archives(tmp_path: Path, changes: dict, message: str) -> None:
    write_idr(tmp_path, ring_cameras(3), **changes)
    with pytest.raises(ReconError, match=message):
        read_idr(tmp_path)


def test_other_files_called_npz(tmp_path: Path) -> None:
    write_idr(tmp_path, ring_cameras(3))
    (tmp_path / "cameras_sphere.npz").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(ReconError, match="not a readable archive"):
        read_idr(tmp_path)
    np.savez(tmp_path / "cameras_sphere.npz", something=np.eye(4))
    with pytest.raises(ReconError, match="holds no world_mat_0"):
        read_idr(tmp_path)
    write_idr(tmp_path, ring_cameras(3))
    (tmp_path / "image").rename(tmp_path / "elsewhere")
    with pytest.raises(ReconError, match="but no image/ folder"):
        read_idr(tmp_path)
