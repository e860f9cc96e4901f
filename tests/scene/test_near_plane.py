"""What lies nearer to a camera than its neighbours could see is not drawn."""

import numpy as np
import pytest
import torch

from recon.scene import Camera, Pixels, Scene, View, near_plane
from recon.splats import Gaussians
from recon.splats.render import render
from recon.train import training_view


def camera_at(x: float) -> Camera:
    pose = np.eye(4)
    pose[0, 3] = -x
    return Camera(pose, 20.0, 20.0, 8.0, 8.0, 16, 16)


def view_at(x: float) -> View:
    return View(str(x), camera_at(x), lambda: Pixels(np.zeros((16, 16, 3), np.float32)))


def test_it_is_a_tenth_of_the_way_to_the_next_camera() -> None:
    assert near_plane([camera_at(x) for x in (0.0, 2.0, 4.0)]) == pytest.approx(0.2)
    assert near_plane([camera_at(0.0), camera_at(0.0), camera_at(3.0)]) == pytest.approx(0.3), (
        "one shared place"
    )


def test_a_single_place_says_nothing() -> None:
    assert near_plane([camera_at(1.0)]) is None
    assert near_plane([camera_at(1.0), camera_at(1.0)]) is None
    assert near_plane([]) is None


def test_the_inputs_decide_for_all_views_of_a_scene() -> None:
    views = tuple(view_at(x) for x in (0.0, 2.0, 2.5, 4.0))
    scene = Scene("row", views, train=("0.0", "2.0", "4.0"), test=("2.5",))
    assert [view.camera.near for view in scene.views] == pytest.approx([0.2] * 4)
    other = scene.with_split(["2.0", "2.5"], ["0.0"])
    assert [view.camera.near for view in other.views] == pytest.approx([0.05] * 4)
    assert training_view(other.train_views[0]).near == pytest.approx(0.05)


def test_a_photo_is_still_decoded_once() -> None:
    decoded = []

    def load() -> Pixels:
        decoded.append(1)
        return Pixels(np.zeros((16, 16, 3), np.float32))

    views = (View("a", camera_at(0.0), load), view_at(2.0))
    scene = Scene("pair", views, train=("a", "2.0"))
    assert views[0].image is scene.view("a").image and len(decoded) == 1


def test_fog_before_the_lens_is_not_drawn() -> None:
    means = torch.tensor([[0.0, 0.0, 0.1], [0.0, 0.0, 4.0]])
    sh = torch.tensor([[-1.7] * 3, [1.7] * 3])[:, None]
    fog = Gaussians(means, torch.zeros(2, 3), torch.tensor([[1.0, 0, 0, 0]] * 2), torch.full((2,), 4.0), sh)
    scene = Scene("pair", (view_at(0.0), view_at(2.0)), train=("0.0", "2.0"))
    drawn = render(fog, scene.view("0.0").camera).color[8, 8]
    assert (drawn > 0.9).all(), "the white one behind it is seen"
    assert (render(fog, camera_at(0.0)).color[8, 8] < 0.1).all()
