import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from recon.poses import EstimatedCamera, Lens
from recon.poses.holdout import check_by_rendering, choose_holdout, judge_pictures
from recon.synth.raycast import build_shapes, raycast


def turned(camera, degrees):
    pose = camera.world_to_camera.copy()
    pose[:3] = Rotation.from_rotvec([0, np.radians(degrees), 0]).as_matrix() @ pose[:3]
    return camera.moved(pose)


def picture(camera):
    shapes = build_shapes("box_room", pixel_angle=1.0 / camera.fx)
    return raycast(shapes, camera, supersampling=1).image


def cameras_of(room):
    return {
        name: EstimatedCamera(c.world_to_camera, Lens(c.fx, c.cx, c.cy, 0.0, c.width, c.height))
        for name, c in room[1].items()
    }


@pytest.mark.parametrize(
    ("degrees", "result"), [(0.0, "passed"), (0.3, "passed"), (1.0, "failed"), (-4.0, "failed")]
)
def test_a_turned_camera_fails(room, degrees, result):
    import cv2

    photos, truth = room
    rendered = cv2.GaussianBlur(
        picture(turned(truth["view_02.png"], degrees)), (0, 0), 2.0
    )  # a quick splat is soft
    check = judge_pictures("view_02.png", rendered, photos[2].image)
    assert check.result == result, check


def test_another_scene_fails(room):
    check = judge_pictures(
        "a", np.random.default_rng(0).random((180, 240, 3)).astype(np.float32), room[0][0].image
    )
    assert check.result == "failed" and "resembles" in check.sentence


def test_an_uncovered_picture_is_undecided(room):
    image = room[0][0].image
    check = judge_pictures("a", image, image, np.zeros(image.shape[:2], dtype=bool))
    assert check.result == "undecided"


def test_the_middle_photo_is_left_out_and_rendered_once(room):
    photos, truth = room
    calls = []

    def render(names, left_out):
        calls.append((names, left_out))
        return picture(truth[left_out]), np.ones((180, 240), dtype=bool)

    cameras = cameras_of(room)
    check = check_by_rendering(cameras, {p.name: p.image for p in photos}, render)
    assert check is not None and check.result == "passed"
    assert choose_holdout(cameras) == "view_02.png" == check.name
    assert calls == [(["view_00.png", "view_01.png", "view_03.png", "view_04.png"], "view_02.png")]


def test_three_photos_are_not_checked(room):
    three = dict(list(cameras_of(room).items())[:3])
    assert check_by_rendering(three, {}, lambda names, left_out: pytest.fail("must not render")) is None
