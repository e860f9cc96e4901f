"""Recipes: the bundled ones load, rigs stand where they say, mistakes are told in sentences."""

import copy
from itertools import pairwise

import numpy as np
import pytest

from recon.errors import ReconError
from recon.synth import load_recipe, recipes

SMALL = {
    "name": "small",
    "size": [32, 24],
    "objects": [
        {
            "name": "ball",
            "shape": {"kind": "rock", "radii": [0.1, 0.1, 0.1]},
            "material": {"kind": "paint", "color": "#a04030"},
        }
    ],
    "cameras": {"train": {"kind": "arc", "count": 2}},
}


@pytest.mark.parametrize("name", ["tabletop", "shelf", "platform", "moving"])
def test_bundled_recipes_load(name):
    recipe = load_recipe(name)
    assert recipe.name == name and recipe.description
    assert len(recipe.train_cameras()) >= 3 and recipe.test_cameras()
    assert (recipe.frames > 1) == any(placed.motion for placed in recipe.objects)
    assert name in recipes()


def test_tabletop_neighbours_are_ten_to_fifteen_degrees_apart():
    cameras = load_recipe("tabletop").train_cameras()
    for first, second in pairwise(cameras):
        angle = np.degrees(np.arccos(first.forward @ second.forward))
        assert 10 <= angle <= 15


def test_cameras_scale_with_the_picture():
    recipe = load_recipe(SMALL)
    small, large = recipe.train_cameras()[0], recipe.train_cameras((64, 48))[0]
    assert large.fx == pytest.approx(2 * small.fx) and (large.width, large.height) == (64, 48)
    assert np.array_equal(small.world_to_camera, large.world_to_camera)
    assert 2 * np.degrees(np.arctan(16 / small.fx)) == pytest.approx(recipe.field_of_view)


@pytest.mark.parametrize(
    ("rig", "count"),
    [
        ({"kind": "arc", "count": 5, "azimuth": [-30, 30], "distance": 2.0}, 5),
        ({"kind": "arc", "count": 8, "azimuth": [0, 360], "distance": 2.0}, 8),
        ({"kind": "hemisphere", "count": 20, "distance": 2.0}, 20),
        ({"kind": "grid", "count": 7, "center": [0, -2, 0], "target": [0, 0, 0], "spread": [0.4, 0.3]}, 7),
        ({"kind": "positions", "positions": [[0, -2, 0], [2, 0, 0.5]]}, 2),
    ],
)
def test_rigs_look_at_their_target_from_the_right_distance(rig, count):
    recipe = load_recipe({**SMALL, "cameras": {"train": rig}})
    cameras = recipe.train_cameras()
    assert len(cameras) == count
    centers = np.array([camera.center for camera in cameras])
    assert len(np.unique(centers.round(6), axis=0)) == count
    for camera in cameras:
        pixel, z = camera.project(np.zeros((1, 3)))
        np.testing.assert_allclose(pixel[0], [16, 12], atol=1e-6)
        assert z[0] == pytest.approx(np.linalg.norm(camera.center))
        assert 1.9 < z[0] < 2.1
        assert camera.world_to_camera[1, 2] < 0  # world up is up in the picture


def changed(path: list, value) -> dict:
    data = copy.deepcopy(SMALL)
    place = data
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return data


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (changed(["sized"], 3), r"recipe small: there is no setting 'sized'; known settings: name, objects"),
        (changed(["size"], [32]), r"recipe small, size: expected 2 values, found 1"),
        (changed(["size"], [32, 2.5]), r"size\[1\]: expected a whole number, found 2.5"),
        (changed(["size"], [32, 4]), r"size must be two numbers from 8 to 8192"),
        (changed(["field_of_view"], "wide"), r"field_of_view: expected a number, found 'wide'"),
        (changed(["field_of_view"], float("nan")), r"expected a finite number"),
        (changed(["field_of_view"], 179), r"field_of_view must be 5 to 130 degrees"),
        (changed(["seed"], True), r"seed: expected a whole number, found True"),
        (
            changed(["objects", 0, "shape"], {"kind": "teapot"}),
            r"object ball, shape: expected a shape with kind: ",
        ),
        (
            changed(["objects", 0, "material", "color"], "#zz"),
            r'expected a colour like "#c08a54", found \'#zz\'',
        ),
        (
            changed(["objects", 0, "material", "shine"], 1),
            r"object ball, material: there is no setting 'shine'",
        ),
        (changed(["objects", 0], {"name": "ball"}), r"object ball: the setting 'shape' is missing"),
        (changed(["cameras"], {}), r"cameras: the setting 'train' is missing"),
        (changed(["cameras", "train"], {"kind": "circle"}), r"expected a rig with kind: arc, hemisphere"),
        (changed(["objects"], SMALL["objects"] * 2), r"two objects are called 'ball'"),
        (changed(["frames"], 0), r"frames must be 1 to 100000"),
        (changed(["environment"], {"look": "moon"}), r"environment, look: expected one of room, sky, dark"),
        (
            changed(
                ["objects", 0, "motion"],
                [{"seconds": 1, "position": [0, 0, 0]}, {"seconds": 0, "position": [0, 0, 0]}],
            ),
            r"ball: the seconds of its motion must grow, got \[1.0, 0.0\]",
        ),
    ],
)
def test_mistakes_are_told(data, sentence):
    with pytest.raises(ReconError, match=sentence):
        load_recipe(data)


def test_camera_that_looks_straight_down_is_told():
    recipe = load_recipe({**SMALL, "cameras": {"train": {"kind": "positions", "positions": [[0, 0, 2]]}}})
    with pytest.raises(ReconError, match=r"cameras.train: camera 0 at .* straight above"):
        recipe.train_cameras()


def test_unknown_name_and_broken_files_are_told(tmp_path):
    with pytest.raises(ReconError, match=r"there is no recipe 'garden'; known recipes: .*tabletop"):
        load_recipe("garden")
    with pytest.raises(ReconError, match="cannot read the recipe"):
        load_recipe(tmp_path / "missing.yaml")
    broken = tmp_path / "broken.yaml"
    broken.write_text("objects: [")
    with pytest.raises(ReconError, match="is not valid YAML"):
        load_recipe(broken)
    broken.write_text("- 1")
    with pytest.raises(ReconError, match="must be a mapping of settings, found list"):
        load_recipe(broken)
    broken.write_text("objects: !!python/object/apply:os.system ['true']")
    with pytest.raises(ReconError, match="is not valid YAML"):
        load_recipe(broken)
