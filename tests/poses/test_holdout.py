import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from recon.poses import EstimatedCamera, Lens
from recon.poses.holdout import RenderingCheck, check_by_rendering, choose_holdouts, judge_pictures
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


def test_another_scene_cannot_be_judged(room):
    """Right cameras far apart resemble as little, so this is no verdict; the sentence says so."""
    noise = np.random.default_rng(0).random((180, 240, 3)).astype(np.float32)
    check = judge_pictures("a", noise, room[0][0].image)
    assert check.result == "undecided" and "resembles it in only" in check.sentence


def test_an_uncovered_picture_is_undecided(room):
    image = room[0][0].image
    check = judge_pictures("a", image, image, np.zeros(image.shape[:2], dtype=bool))
    assert check.result == "undecided" and check.offset is None and "cover too little" in check.sentence


def test_every_photo_is_left_out_in_turn_the_middle_one_first(room):
    photos, truth = room
    calls, shown = [], []

    def render(names, left_out):
        calls.append((names, left_out))
        return picture(truth[left_out]), np.ones((180, 240), dtype=bool)

    def show(sentence, done):
        shown.append((sentence, done))

    check = check_by_rendering(cameras_of(room), {p.name: p.image for p in photos}, render, show)
    assert check is not None and check.result == "passed"
    assert calls[0] == (["view_00.png", "view_01.png", "view_03.png", "view_04.png"], "view_02.png")
    assert sorted(left_out for _, left_out in calls) == sorted(truth)
    assert shown[0] == ("checking poses: rendering at view_02.png", 0.0) and len(shown) == 5
    assert check.record()["result"] == "passed" and len(check.record()["photos"]) == 5


def test_one_shifted_picture_fails_the_whole(room):
    photos, truth = room

    def render(names, left_out):
        camera = turned(truth[left_out], 1.0 if left_out == "view_04.png" else 0.0)
        return picture(camera), np.ones((180, 240), dtype=bool)

    check = check_by_rendering(cameras_of(room), {p.name: p.image for p in photos}, render)
    assert check.result == "failed"
    (sentence,) = check.sentences("failed")
    assert "view_04.png" in sentence and "shifted by" in sentence


def test_without_any_reconstruction_nothing_is_decided(room):
    check = check_by_rendering(cameras_of(room), {}, lambda names, left_out: None)
    assert check.result == "undecided" and len(check.sentences("undecided")) == 5


def test_of_many_photos_some_far_apart_are_left_out(room):
    cameras = cameras_of(room)
    chosen = choose_holdouts(cameras, 3)
    assert chosen[0] == "view_02.png" and set(chosen[1:]) == {"view_00.png", "view_04.png"}
    same_place = dict.fromkeys("abc", cameras["view_00.png"])
    assert sorted(choose_holdouts(same_place)) == ["a", "b", "c"]


def test_three_photos_are_not_checked(room):
    three = dict(list(cameras_of(room).items())[:3])
    assert check_by_rendering(three, {}, lambda names, left_out: pytest.fail("must not render")) is None


def test_the_result_is_the_worst_of_what_could_be_judged(room):
    image = room[0][0].image
    passed = judge_pictures("a", image, image)
    undecided = judge_pictures("b", image, image, np.zeros(image.shape[:2], dtype=bool))
    assert RenderingCheck((passed, undecided)).result == "passed"
    assert RenderingCheck((undecided,)).result == "undecided"
