import json
from pathlib import Path

import numpy as np
import pytest
from make_pictures import ring_cameras, write_picture

from recon.datasets import LAYOUTS, open_scene, recognise
from recon.errors import ReconError


def transforms_folder(folder: Path, count: int = 20) -> Path:
    frames = []
    for number, camera in enumerate(ring_cameras(count)):
        write_picture(folder / "images" / f"{number:02d}.png", seed=number)
        matrix = camera.camera_to_world @ np.diag([1, -1, -1, 1])
        frames.append({"file_path": f"images/{number:02d}.png", "transform_matrix": matrix.tolist()})
    (folder / "transforms.json").write_text(json.dumps({"fl_x": 30.0, "w": 32, "h": 24, "frames": frames}))
    return folder


@pytest.mark.parametrize(
    ("files", "layout"),
    [
        (["poses_bounds.npy", "images_8/a.png"], "llff"),
        (["poses_bounds.npy", "sparse/0/cameras.bin", "images/a.png"], "llff"),
        (["train_meta.json", "ims/0/a.jpg"], "multi-camera"),
        (["transforms.json", "images/a.jpg"], "transforms"),
        (["transforms_train.json", "train/r_0.png"], "blender"),
        (["cameras_sphere.npz", "image/a.png"], "idr"),
        (["Track1_split_test.json"], "spare"),
        (["calibration/pos_001.txt", "scan9/rect_001_3_r5000.png"], "spare"),
        (["sparse/0/cameras.bin", "images/a.jpg"], "colmap"),
        (["sparse/cameras.txt", "images/a.jpg"], "colmap"),
        (["cameras.txt", "images.txt"], "colmap"),
        (["cameras.txt", "a.jpg"], "photos"),
        (["a.jpg", "b.heic"], "photos"),
        (["images/a.jpg"], "photos"),
    ],
)
def test_recognition_by_names_alone(tmp_path: Path, files: list[str], layout: str) -> None:
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    assert recognise(tmp_path).name == layout


def test_what_fits_nothing_lists_what_would(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(ReconError) as error:
        recognise(tmp_path)
    message = str(error.value)
    assert message.startswith(f"{tmp_path} is in no supported layout: it holds 1 .txt. Supported are\n")
    for layout in LAYOUTS:
        assert f"  {layout.name}: {layout.marks}" in message
    with pytest.raises(ReconError, match="does not exist: give the folder"):
        recognise(tmp_path / "none")
    with pytest.raises(ReconError, match="is a file: give the folder"):
        recognise(tmp_path / "notes.txt")
    with pytest.raises(ReconError, match="no layout 'llf'; choose one of llff, "):
        open_scene(tmp_path, layout="llf")


def test_a_recognised_but_broken_layout_tells_its_own_problem(tmp_path: Path) -> None:
    for file in ("transforms_test.json", "train_meta.json", "poses_bounds.npy"):
        folder = tmp_path / file[:4]
        folder.mkdir()
        (folder / file).write_text("{}")
        with pytest.raises(ReconError, match=file.removesuffix(".json")):
            open_scene(folder)


def test_the_layout_is_told(tmp_path: Path) -> None:
    scene = open_scene(transforms_folder(tmp_path))
    assert scene.notes == ("read as transforms (transforms.json (nerfstudio, instant-ngp))",)
    assert scene.warnings == ()
    assert len(scene.train) == 20 and scene.test == ()


@pytest.mark.parametrize(
    ("choice", "sentence"),
    [
        ({"scene": "scan65"}, "--scene can be chosen in spare data only, but .* is in transforms layout"),
        ({"track": 1, "part": "test"}, "--track and --part can be chosen in spare data only"),
        ({"frame": 0}, "--frame can be chosen in multi-camera data only"),
    ],
)
def test_choices_of_other_layouts_are_refused(tmp_path: Path, choice, sentence: str) -> None:
    with pytest.raises(ReconError, match=sentence):
        open_scene(transforms_folder(tmp_path), **choice)


def test_photos_without_cameras_are_sent_to_pose_estimation(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.jpg")
    with pytest.raises(ReconError, match="holds photos without cameras: their poses must be estimated first"):
        open_scene(tmp_path)


def test_views_without_a_protocol_hold_out_every_eighth(tmp_path: Path) -> None:
    scene = open_scene(transforms_folder(tmp_path), views=3)
    assert scene.test == ("00.png", "08.png", "16.png") and scene.train == ("01.png", "10.png", "19.png")


def test_protocol_split_and_size_go_together(tmp_path: Path) -> None:
    transforms_folder(tmp_path)
    split = tmp_path / "split.json"
    split.write_text(json.dumps({"train": ["03.png", "05"], "test": ["04.png"]}))
    scene = open_scene(tmp_path, protocol="llff", split=split)
    assert (
        scene.train == ("03.png", "05.png") and scene.test == ("04.png",) and scene.views[0].camera.width == 4
    )
    scene = open_scene(tmp_path, protocol="llff", views=2, downscale=2)
    assert scene.train == ("01.png", "19.png") and scene.views[0].camera.width == 16
    assert open_scene(tmp_path, max_size=8).views[0].image.shape == (6, 8, 3)
    with pytest.raises(ReconError, match="either a split file or a number of views"):
        open_scene(tmp_path, split=split, views=3)
    split.write_text(json.dumps({"train": ["03.png"], "test": ["03.png"]}))
    with pytest.raises(ReconError, match=r"03\.png would be both input and held out"):
        open_scene(tmp_path, split=split)


def test_the_documentation_has_a_row_for_every_layout() -> None:
    page = (Path(__file__).parents[2] / "docs" / "data-sets.md").read_text(encoding="utf-8")
    table = page[page.index("| layout |") :].split("\n\n")[0]
    rows = [line.split("|")[1].strip() for line in table.splitlines()[2:]]
    assert rows == [layout.name for layout in LAYOUTS]
