"""The bundled sample: small, in step with its recipes, fit for structure from motion."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from recon.scene import rotation_angle
from recon.synth import load_recipe
from recon.synth.generate import _fingerprint

SAMPLE = Path(__file__).parents[2] / "data" / "sample"
TABLETOP = SAMPLE / "tabletop"
MOVING = SAMPLE / "moving"


def test_sample_is_small_and_free():
    files = [path for path in SAMPLE.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 5_000_000
    assert "CC0" in (SAMPLE / "LICENSE").read_text()


@pytest.mark.parametrize("name", ["tabletop", "moving"])
def test_sample_was_made_by_the_recipe_as_it_is(name):
    made = json.loads((SAMPLE / name / "synth.json").read_text())
    assert made["fingerprint"] == _fingerprint(load_recipe(name))
    for picture, about in made["pictures"].items():
        assert (SAMPLE / name / picture).exists()
        assert about["noise"] < 0.015


def test_tabletop_photos_cameras_and_split():
    content = json.loads((TABLETOP / "transforms.json").read_text())
    split = json.loads((TABLETOP / "split.json").read_text())
    assert len(split["train"]) == 3 and len(split["test"]) == 5
    names = [frame["file_path"] for frame in content["frames"]]
    assert [name.split("/")[-1] for name in names] == split["train"] + split["test"]
    assert sorted(path.name for path in (TABLETOP / "images").iterdir()) == split["train"]
    recipe = load_recipe("tabletop")
    for frame, camera in zip(content["frames"], recipe.train_cameras() + recipe.test_cameras(), strict=True):
        pose = camera.camera_to_world @ np.diag([1, -1, -1, 1])
        np.testing.assert_allclose(frame["transform_matrix"], pose, atol=1e-12)
        with Image.open(TABLETOP / frame["file_path"]) as photo:
            assert photo.size == (content["w"], content["h"]) == (640, 480)
            details = photo.getexif().get_ifd(0x8769)
            assert np.array(photo).std() > 30
        assert details[0xA405] / 35 * 640 == pytest.approx(content["fl_x"], rel=0.02)


def test_clip_has_every_frame_of_every_camera():
    train = json.loads((MOVING / "train_meta.json").read_text())
    test = json.loads((MOVING / "test_meta.json").read_text())
    assert np.array(train["fn"]).shape == (8, 4) and np.array(test["fn"]).shape == (8, 1)
    for row in [*train["fn"], *test["fn"]]:
        for name in row:
            with Image.open(MOVING / "ims" / name) as frame:
                assert frame.size == (320, 240)


def test_clip_moves_and_its_background_stands_still():
    frames = [
        np.array(Image.open(MOVING / "ims" / "1" / f"{t:06d}.jpg")).astype(float) / 255 for t in range(8)
    ]
    change = np.abs(frames[7] - frames[0]).max(axis=-1)
    assert 0.02 < (change > 0.15).mean() < 0.4
    assert np.median(change) < 0.04


@pytest.mark.slow
def test_three_photos_alone_give_their_cameras(tmp_path):
    """Structure from motion on the inputs, without the given cameras, finds the recipe's rotations."""
    pycolmap = pytest.importorskip("pycolmap")
    pycolmap.set_random_seed(0)
    database = tmp_path / "database.db"
    pycolmap.extract_features(database, TABLETOP / "images")
    pycolmap.match_exhaustive(database)
    models = pycolmap.incremental_mapping(database, TABLETOP / "images", tmp_path)
    assert models and models[0].num_reg_images() == 3
    images = sorted(models[0].images.values(), key=lambda image: image.name)
    rotations = [image.cam_from_world().rotation.matrix() for image in images]
    truth = [camera.world_to_camera[:3, :3] for camera in load_recipe("tabletop").train_cameras()]
    for first, second in ((0, 1), (1, 2)):
        estimated = rotations[second] @ rotations[first].T
        exact = truth[second] @ truth[first].T
        assert np.degrees(rotation_angle(estimated @ exact.T)) < 0.3
