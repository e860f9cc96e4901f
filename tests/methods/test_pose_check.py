"""Quick splats rendered at a left-out camera, on a ray-cast room with exact cameras."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from recon.methods.pose_check import check_poses, quick_picture
from recon.poses import EstimatedCamera, Lens
from recon.scene import View
from recon.synth.raycast import raycast_scene


@pytest.fixture(scope="module")
def views():
    scene = raycast_scene("box_room", views=5, size=(160, 120), supersampling=1).scene
    return {view.name: view for view in scene.views}


def estimated(views):
    return {
        name: EstimatedCamera(c.world_to_camera, Lens(c.fx, c.cx, c.cy, 0.0, c.width, c.height))
        for name, c in ((view.name, view.camera) for view in views.values())
    }


def turned(view, degrees):
    pose = view.camera.world_to_camera.copy()
    pose[:3] = Rotation.from_rotvec([0, np.radians(degrees), 0]).as_matrix() @ pose[:3]
    return View(view.name, view.camera.moved(pose), lambda: view.pixels)


def test_right_cameras_pass_and_every_photo_is_told(views):
    shown = []
    check = check_poses(estimated(views), views, progress=lambda sentence, done: shown.append(done))
    assert check is not None and check.result == "passed", check
    assert {photo.name for photo in check.photos} == set(views)
    assert shown[0] == 0.0 and shown == sorted(shown)


def test_a_turned_camera_fails_where_it_is_left_out(views):
    wrong = {**views, "view_01.png": turned(views["view_01.png"], 2.0)}
    check = check_poses(estimated(wrong), wrong)
    assert check is not None and check.result == "failed"
    assert "view_01.png" in {photo.name for photo in check.photos if photo.result == "failed"}


def test_the_left_out_photo_is_not_opened_for_its_own_picture(views):
    def forbidden():
        raise AssertionError("the left-out photo was opened")

    first, *others = views.values()
    drawn = quick_picture(others, View(first.name, first.camera, forbidden))
    assert drawn is not None
    picture, covered = drawn
    assert picture.shape == (120, 160, 3) and covered.shape == (120, 160) and covered.mean() > 0.3


def test_photos_that_share_nothing_give_no_picture(views):
    first, second, target, *_ = views.values()
    away = first.camera.world_to_camera.copy()
    away[:3] = np.diag([-1.0, 1.0, -1.0]) @ away[:3]  # looks the other way
    behind = View("behind.png", first.camera.moved(away), lambda: first.pixels)
    assert quick_picture([behind, second], target) is None


def test_three_photos_are_not_checked(views):
    three = dict(list(views.items())[:3])
    assert check_poses(estimated(three), three) is None
