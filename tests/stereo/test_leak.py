"""No held-out photo can take part in stereo: their pixels are never asked for, their files never opened."""

import builtins
import os

import numpy as np
import pytest
from PIL import Image

from recon.scene import Pixels, Scene, View
from recon.stereo import estimate_depth, fuse_points, triangulate_matches


@pytest.fixture
def scene_on_disk(room, tmp_path):
    """The room as PNG files; decoding a held-out one raises."""

    def open_photo(path):
        with Image.open(path) as picture:
            return Pixels(np.asarray(picture.convert("RGB"), dtype=np.float32) / 255)

    def refuse():
        raise AssertionError("a held-out photo was asked for its pixels")

    views = []
    for view in room.scene.views:
        path = tmp_path / view.name
        Image.fromarray((view.image * 255).round().astype(np.uint8)).save(path)
        held_out = view.name in room.scene.test
        views.append(View(view.name, view.camera, refuse if held_out else lambda path=path: open_photo(path)))
    return Scene("room", tuple(views), room.scene.train, room.scene.test), tmp_path


def test_only_training_files_are_opened(scene_on_disk, monkeypatch):
    scene, folder = scene_on_disk
    opened = record_opened_files(monkeypatch)
    depths = estimate_depth(scene.train_views)
    cloud = fuse_points(scene.train_views, depths)
    matches = triangulate_matches(scene.train_views)
    assert len(cloud) > 1000 and len(matches) > 20
    photos = {os.path.basename(path) for path in opened if os.path.dirname(path) == str(folder)}
    assert photos == set(scene.train), "the files opened are not the training photos"
    for view in scene.test_views:
        assert "pixels" not in view.__dict__


def test_the_record_would_notice(scene_on_disk, monkeypatch):
    """The test above can fail: opening a held-out file by any of the usual ways is recorded."""
    import cv2

    scene, folder = scene_on_disk
    opened = record_opened_files(monkeypatch)
    path = str(folder / scene.test[0])
    for read in (
        lambda: open(path, "rb").close(),
        lambda: Image.open(path).close(),
        lambda: cv2.imread(path),
    ):
        opened.clear()
        read()
        assert path in opened


def record_opened_files(monkeypatch) -> list[str]:
    """Record the paths given to open, os.open and OpenCV's reader (PIL and numpy go through open)."""
    import cv2

    opened: list[str] = []

    def recording(original):
        def call(path, *arguments, **options):
            if isinstance(path, str | os.PathLike):
                opened.append(os.fspath(path))
            return original(path, *arguments, **options)

        return call

    monkeypatch.setattr(builtins, "open", recording(builtins.open))
    monkeypatch.setattr(os, "open", recording(os.open))
    monkeypatch.setattr(cv2, "imread", recording(cv2.imread))
    return opened
