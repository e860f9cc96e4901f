"""No picture is decoded before it is asked for, and nobody opens a held-out picture by accident."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from make_pictures import ring_cameras, write_picture
from test_blender import write_blender
from test_colmap import write_colmap_scene
from test_idr import write_idr
from test_layouts import transforms_folder
from test_llff import square_cameras, write_llff
from test_multi_camera import write_clip
from test_spare import write_spare, write_split

from recon.datasets import open_photos, open_scene

opened: list[str] = []
watching = False


def _watch(event: str, arguments: tuple) -> None:
    if watching and event == "open":
        opened.append(str(arguments[0]))


sys.addaudithook(_watch)


@pytest.fixture
def openings() -> Iterator[list[str]]:
    """Collect the paths of all files that Python opens during the test."""
    global watching
    opened.clear()
    watching = True
    yield opened
    watching = False


def _spare(folder: Path) -> None:
    write_spare(folder, present=range(12))
    write_split(folder, 1, "development", scan9=([1, 4, 7], [2, 5], "DTU"))


MAKERS: dict[str, Callable[[Path], object]] = {
    "llff": lambda folder: write_llff(folder, square_cameras(20)),
    "transforms": transforms_folder,
    "blender": lambda folder: write_blender(folder, train=100, test=9),
    "idr": lambda folder: write_idr(folder, ring_cameras(1) * 50),
    "spare": _spare,
    "colmap": lambda folder: write_colmap_scene(folder, count=10),
    "multi-camera": write_clip,
}


@pytest.mark.parametrize("layout", MAKERS)
def test_a_scene_opens_headers_only_and_each_view_its_own_file(
    tmp_path: Path, layout: str, openings: list[str]
) -> None:
    MAKERS[layout](tmp_path)
    files = {
        path for path in tmp_path.rglob("*") if path.suffix in (".png", ".jpg") and path.parent.name != "mask"
    }
    whole = {path: path.read_bytes() for path in files}
    for path, data in whole.items():
        path.write_bytes(
            data[: max(600 if path.suffix == ".jpg" else 60, 0)] + b"\0" * 40
        )  # only the header is left
    scene = open_scene(tmp_path, views=2 if layout != "spare" else 3)
    assert scene.test
    for path, data in whole.items():
        path.write_bytes(data)
    openings.clear()
    for view in scene.train_views:
        assert view.image.size
    pictures = [path for path in openings if Path(path).suffix in (".png", ".jpg")]
    inputs = {_file(tmp_path, name) for name in scene.train}
    assert {Path(path) for path in pictures if Path(path).parent.name != "mask"} == inputs
    assert len(pictures) == len(inputs) * (2 if layout == "idr" else 1)  # masks count as well
    for view in scene.train_views:
        assert view.image.size
    assert len([path for path in openings if Path(path).suffix in (".png", ".jpg")]) == len(pictures)


def test_photos_open_their_own_file(tmp_path: Path, openings: list[str]) -> None:
    for number in range(4):
        write_picture(tmp_path / f"{number}.png", seed=number)
    photos = open_photos(tmp_path)
    openings.clear()
    assert photos.photos[2].image.size
    assert [Path(path) for path in openings if path.endswith(".png")] == [tmp_path / "2.png"]


def _file(folder: Path, name: str) -> Path:
    found = [
        path
        for path in folder.rglob("*")
        if path.as_posix().endswith(f"/{name}") and path.parent.name != "mask"
    ]
    assert len(found) == 1
    return found[0]
