import json
from pathlib import Path

import numpy as np
import pytest
from make_pictures import assert_same_camera, ring_cameras, write_picture
from PIL import Image

from recon.datasets import open_scene
from recon.datasets.spare import picture_name, read_spare, read_spare_split, view_index
from recon.errors import ReconError
from recon.scene import Camera

CAMERAS = ring_cameras(12, 1600, 1200)


def write_spare(folder: Path, scene: str = "scan9", present=(1, 4, 7, 2), kind: str = "DTU") -> None:
    """Write small pictures in SpaRe's layout: the reader scales cameras from the full 1600x1200 to them."""
    calibration = folder / ("dtu_calibration" if kind == "DTU" else "synth_calibration")
    calibration.mkdir(parents=True, exist_ok=True)
    for index, camera in enumerate(CAMERAS):
        matrix = 0.25 * camera.matrix @ camera.world_to_camera[:3]
        np.savetxt(calibration / f"pos_{index + 1:03d}.txt", matrix)
    for index in present:
        write_picture(folder / "images" / scene / picture_name(index, kind), 32, 24, index)
    write_picture(folder / "images" / scene / picture_name(1, kind, light=2), 32, 24)


def write_split(folder: Path, track: int, part: str, **scenes: tuple[list[int], list[int], str]) -> None:
    content = {
        name: {"input_views": inputs, "test_views": tests, "dataset": kind}
        for name, (inputs, tests, kind) in scenes.items()
    }
    (folder / f"Track{track}_split_{part}.json").write_text(json.dumps(content))


def test_file_numbers_are_one_more_than_views() -> None:
    assert picture_name(13, "DTU") == "rect_014_3_r5000.png"
    assert picture_name(13, "Synthetic", light=0) == "cam_014_0_0000.png"
    for kind in ("DTU", "Synthetic"):
        assert view_index(picture_name(48, kind)) == 48
    with pytest.raises(ReconError, match="is not a SpaRe picture name"):
        view_index("rect_14.png")


def test_split_cameras_and_withheld_test_views(tmp_path: Path) -> None:
    write_spare(tmp_path)
    write_split(tmp_path, 1, "development", scan9=([7, 1, 4], [2, 5], "DTU"))
    scene = open_scene(tmp_path)
    assert scene.name == "scan9"
    assert scene.train == tuple(picture_name(i, "DTU") for i in (7, 1, 4))
    assert scene.test == tuple(picture_name(i, "DTU") for i in (2, 5))
    assert [view.name for view in scene.views] == [picture_name(i, "DTU") for i in (1, 2, 4, 5, 7)]
    for view in scene.views:
        camera = CAMERAS[view_index(view.name)]
        assert_same_camera(view.camera, camera if view.withheld else camera.resized(32, 24), 1e-8)
    hidden = scene.view(picture_name(5, "DTU"))
    assert hidden.withheld and not scene.view(picture_name(2, "DTU")).withheld
    with pytest.raises(ReconError, match=r"the picture of rect_006_3_r5000\.png is not among the files"):
        _ = hidden.image


def test_the_number_of_views_chooses_the_track(tmp_path: Path) -> None:
    write_spare(tmp_path, present=range(12))
    write_split(tmp_path, 1, "development", scan9=([0, 1, 2], [11], "DTU"))
    write_split(tmp_path, 2, "development", scan9=(list(range(9)), [10], "DTU"))
    three = open_scene(tmp_path, protocol="spare", views=3)
    assert len(three.train) == 3 and three.test == (picture_name(11, "DTU"),)
    nine = open_scene(tmp_path, views=9)
    assert len(nine.train) == 9 and nine.test == (picture_name(10, "DTU"),)
    assert open_scene(tmp_path, track=2).train == nine.train
    with pytest.raises(ReconError, match="protocol spare has 3 or 9 input views, not 5"):
        open_scene(tmp_path, protocol="spare", views=5)
    with pytest.raises(ReconError, match="none decides for this scene"):
        open_scene(tmp_path, protocol="spare")
    assert len(open_scene(tmp_path).train) == 12  # two files speak of it, none was asked for
    with pytest.raises(ReconError, match=r"no Track1_split_test\.json .* has scene scan9"):
        open_scene(tmp_path, track=1, part="test")


def test_several_scenes_synthetic_apart(tmp_path: Path) -> None:
    write_spare(tmp_path)
    write_spare(tmp_path, "Jenga", kind="Synthetic")
    mirrored = CAMERAS[1].matrix @ CAMERAS[2].world_to_camera[:3]
    np.savetxt(tmp_path / "synth_calibration" / "pos_002.txt", mirrored)
    write_split(tmp_path, 1, "test", scan9=([1, 4], [2], "DTU"), Jenga=([1, 7], [2], "Synthetic"))
    with pytest.raises(ReconError, match="holds several scenes; say which: Jenga, scan9"):
        open_scene(tmp_path)
    jenga = open_scene(tmp_path, scene="Jenga")
    assert jenga.train == ("cam_002_3_0000.png", "cam_008_3_0000.png")
    np.testing.assert_allclose(jenga.views[0].camera.world_to_camera, CAMERAS[2].world_to_camera, atol=1e-8)
    scan = open_scene(tmp_path, scene="scan9")
    np.testing.assert_allclose(scan.views[0].camera.world_to_camera, CAMERAS[1].world_to_camera, atol=1e-8)
    with pytest.raises(ReconError, match="has no pictures of scene scan1; it has Jenga, scan9"):
        open_scene(tmp_path, scene="scan1")
    assert open_scene(tmp_path / "images" / "scan9").train == scan.train


def test_masks_count_from_zero(tmp_path: Path) -> None:
    write_spare(tmp_path)
    mask = np.zeros((24, 32), np.uint8)
    mask[2:9] = 255
    (tmp_path / "masks" / "scan9").mkdir(parents=True)
    Image.fromarray(mask).save(tmp_path / "masks" / "scan9" / "004.png")
    scene = read_spare(tmp_path)
    np.testing.assert_array_equal(scene.view(picture_name(4, "DTU")).mask, mask == 255)
    assert scene.view(picture_name(7, "DTU")).mask is None


def test_missing_inputs_and_calibration(tmp_path: Path) -> None:
    write_spare(tmp_path)
    write_split(tmp_path, 1, "development", scan9=([1, 3], [2], "DTU"))
    with pytest.raises(ReconError, match=r"scene scan9: input picture rect_004_3_r5000\.png is not in"):
        open_scene(tmp_path)
    write_split(tmp_path, 1, "development", scan9=([1, 4], [40], "DTU"))
    with pytest.raises(ReconError, match=r"the split asks for views \[40\], which have no pos_NNN\.txt"):
        open_scene(tmp_path)
    for file in (tmp_path / "dtu_calibration").iterdir():
        file.unlink()
    with pytest.raises(ReconError, match="has no DTU calibration"):
        open_scene(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2 3", "expected the 12 numbers of a 3x4 projection matrix, found 3"),
        ("a b c d e f g h i j k l", "not a text file of numbers"),
        ("0 " * 12, "singular"),
        ("nan " * 12, "NaN"),
    ],
)
def test_unusable_calibration(tmp_path: Path, text: str, message: str) -> None:
    write_spare(tmp_path)
    (tmp_path / "dtu_calibration" / "pos_003.txt").write_text(text)
    with pytest.raises(ReconError, match=rf"pos_003\.txt: .*{message}"):
        read_spare(tmp_path)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"input_views": [1]}, "needs lists of view numbers"),
        ({"input_views": [1], "test_views": ["2"]}, "needs lists of view numbers"),
        ({"input_views": [1], "test_views": [-2]}, "needs lists of view numbers"),
        ([], "needs lists of view numbers"),
        ({"input_views": [1, 2], "test_views": [2]}, "both input and test"),
        ({"input_views": [1], "test_views": [2], "dataset": "Foo"}, "expected DTU or Synthetic"),
    ],
)
def test_unusable_split_files(tmp_path: Path, entry, message: str) -> None:
    file = tmp_path / "Track1_split_test.json"
    file.write_text(json.dumps({"scan9": entry}))
    with pytest.raises(ReconError, match=message):
        read_spare_split(file)


def test_cameras_scale_with_the_pictures() -> None:
    full: Camera = CAMERAS[0]
    assert full.resized(32, 24).fx == pytest.approx(full.fx / 50)
