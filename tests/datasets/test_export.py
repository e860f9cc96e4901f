import json
from pathlib import Path

import numpy as np
import pycolmap
import pytest
from make_pictures import assert_same_camera, ring_cameras

from recon.datasets import open_scene, read_cameras, write_colmap, write_transforms
from recon.datasets.posed_view import withheld_view
from recon.datasets.resize import PictureSize
from recon.errors import ReconError
from recon.scene import Pixels, Scene, SparsePoints, View


def make_scene(count: int = 5) -> Scene:
    """A scene with every kind of view: plain, masked, with invalid pixels, withheld."""

    def view(number: int, camera) -> View:
        random = np.random.default_rng(number)
        image = random.integers(0, 256, (24, 32, 3)).astype(np.float32) / 255
        mask = random.random((24, 32)) > 0.5 if number == 1 else None
        valid = random.random((24, 32)) > 0.1 if number in (1, 2) else None
        return View(f"{number:02d}.jpg", camera, lambda: Pixels(image, mask, valid))

    cameras = ring_cameras(count)
    views = [view(number, camera) for number, camera in enumerate(cameras[:-1])]
    views.append(withheld_view("zz.png", cameras[-1], PictureSize()))
    random = np.random.default_rng(9)
    points = SparsePoints(random.normal(size=(7, 3)), random.integers(0, 256, (7, 3)).astype(np.uint8))
    return Scene(
        "shelf", tuple(views), ("00.jpg", "02.jpg"), ("01.jpg", "zz.png"), poses="certified", points=points
    )


def assert_same_cameras(found: Scene, expected: Scene) -> None:
    for view, other in zip(found.views, expected.views, strict=True):
        assert_same_camera(view.camera, other.camera, 1e-14)


def test_cameras_of_a_run_round_trip(tmp_path: Path) -> None:
    scene = make_scene()
    write_transforms(tmp_path / "cameras.json", scene)
    found = read_cameras(tmp_path / "cameras.json")
    assert [view.name for view in found.views] == [view.name for view in scene.views]
    assert (found.name, found.train, found.test, found.poses) == (
        "shelf",
        scene.train,
        scene.test,
        "certified",
    )
    assert_same_cameras(found, scene)
    assert all(view.withheld for view in found.views)
    assert np.array_equal(found.points.positions, scene.points.positions)
    assert np.array_equal(found.points.colors, scene.points.colors)
    write_transforms(tmp_path / "again.json", found)
    assert_same_cameras(read_cameras(tmp_path / "again.json"), scene)


def test_transforms_with_pictures_is_a_data_set(tmp_path: Path) -> None:
    scene = make_scene()
    write_transforms(tmp_path / "transforms.json", scene, pictures=True)
    found = open_scene(tmp_path)
    assert found.train == ("00.jpg.png", "02.jpg.png") and found.test == ("01.jpg.png",)
    assert any("zz.png" in sentence for sentence in found.warnings)  # it has no picture
    for view, other in zip(found.views, scene.views, strict=False):
        assert_same_camera(view.camera, other.camera, 1e-14)
        np.testing.assert_array_equal(view.image, other.image)
    masked, partial = scene.view("01.jpg"), scene.view("02.jpg")
    np.testing.assert_array_equal(found.view("01.jpg.png").mask, masked.mask & masked.valid)
    np.testing.assert_array_equal(found.view("02.jpg.png").mask, partial.valid)
    assert found.view("00.jpg.png").mask is None


@pytest.mark.parametrize("text", [False, True])
def test_colmap_round_trip(tmp_path: Path, text: bool) -> None:
    scene = make_scene()
    write_colmap(tmp_path, scene, text=text, pictures=True)
    found = open_scene(tmp_path)
    assert [view.name for view in found.views] == [f"{i:02d}.jpg.png" for i in range(4)]
    for view, other in zip(found.views, scene.views, strict=False):
        assert_same_camera(view.camera, other.camera, 1e-14)
        np.testing.assert_array_equal(view.camera.intrinsics, other.camera.intrinsics)
        np.testing.assert_array_equal(view.camera.world_to_camera[:3, 3], other.camera.world_to_camera[:3, 3])
        np.testing.assert_array_equal(view.image, other.image)


@pytest.mark.parametrize("text", [False, True])
def test_colmap_itself_reads_what_was_written(tmp_path: Path, text: bool) -> None:
    scene = make_scene()
    write_colmap(tmp_path, scene, text=text)
    model = pycolmap.Reconstruction(tmp_path / "sparse" / "0")
    assert len(model.images) == 5 and len(model.cameras) == 5
    for view in scene.views:
        image = model.find_image_with_name(view.name)
        np.testing.assert_allclose(
            image.cam_from_world().matrix(), view.camera.world_to_camera[:3], atol=1e-14
        )
        np.testing.assert_array_equal(model.cameras[image.camera_id].params, view.camera.intrinsics)
    positions = np.array([model.points3D[i].xyz for i in range(1, 8)])
    colors = np.array([model.points3D[i].color for i in range(1, 8)])
    assert scene.points is not None
    np.testing.assert_array_equal(positions, scene.points.positions)
    np.testing.assert_array_equal(colors, scene.points.colors)


def test_views_with_one_lens_share_a_colmap_camera(tmp_path: Path) -> None:
    camera = ring_cameras(1)[0]
    views = tuple(withheld_view(f"{i}.png", camera, PictureSize()) for i in range(3))
    write_colmap(tmp_path, Scene("s", views, ("0.png",)), text=True)
    lines = (tmp_path / "sparse" / "0" / "cameras.txt").read_text().splitlines()
    assert len([line for line in lines if not line.startswith("#")]) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frames": 3}, "no list of frames"),
        ({"poses": "perfect"}, "poses must be one of given, certified"),
        ({"frames": [{"file_path": 3}]}, "frame 0 has no file_path"),
        ({"frames": [{"file_path": "a.png", "w": 3}]}, r"frame a\.png: h must be a finite number"),
        ({"train_filenames": ["gone.png"]}, "gone.png"),
    ],
)
def test_malformed_camera_files(tmp_path: Path, change: dict, message: str) -> None:
    file = tmp_path / "cameras.json"
    write_transforms(file, make_scene())
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises(ReconError, match=message):
        read_cameras(file)
