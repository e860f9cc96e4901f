import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from recon.errors import ReconError
from recon.poses import PoseSettings, estimate_poses
from recon.scene.photo import Photo
from recon.scene.view import Pixels


@pytest.fixture(scope="module")
def estimate(room, settings):
    return estimate_poses(room[0], settings)


def test_right_poses_are_certified(room, estimate, pose_errors):
    truth = {name: camera.world_to_camera for name, camera in room[1].items()}
    assert estimate.status == "certified" and estimate.strategy == "incremental"
    assert list(estimate.cameras) == list(truth)
    assert estimate.left_out == {} and estimate.diagnosis == ()
    found = {name: camera.world_to_camera for name, camera in estimate.cameras.items()}
    rotation, direction = pose_errors(found, truth)
    assert rotation < 0.5 and direction < 0.5
    lens = estimate.cameras["view_00.png"].lens
    assert lens.focal == pytest.approx(room[1]["view_00.png"].fx, rel=0.02) and abs(lens.k1) < 0.02
    assert (lens.width, lens.height) == (240, 180)


def test_points_are_where_the_photos_see_them(estimate):
    points = estimate.points
    assert points.positions.shape == points.colors.shape and points.colors.dtype == np.uint8
    assert estimate.visible.shape == (len(points.positions), 5)
    for column, camera in enumerate(estimate.cameras.values()):
        seen = points.positions[estimate.visible[:, column]]
        pixels, depth = camera.pinhole.project(seen)
        assert (depth > 0).all()
        assert ((pixels > -1) & (pixels < [241, 181])).all()
    assert np.ptp(points.colors, axis=0).min() > 50  # coloured from the photos, not one constant


def test_the_record_is_plain_data(estimate):
    import json

    record = json.loads(json.dumps(estimate.record()))
    assert record["attempts"][0]["verdict"] == "certified"
    assert record["evidence"]["E_min"] > 0.9 and record["evidence"]["A"] < 10


def test_threads_and_repetition_change_nothing(room, estimate, settings):
    again = estimate_poses(room[0], replace(settings, threads=1))
    for name, camera in estimate.cameras.items():
        np.testing.assert_array_equal(again.cameras[name].world_to_camera, camera.world_to_camera)
        assert again.cameras[name].lens == camera.lens


def test_nothing_is_left_in_the_temporary_folder(room, tmp_path, monkeypatch, settings):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    sentences = []
    estimate_poses(room[0][:3], settings, lambda sentence, fraction: sentences.append((fraction, sentence)))
    assert list(tmp_path.iterdir()) == []
    fractions = [fraction for fraction, _ in sentences]
    assert fractions == sorted(fractions) and fractions[0] >= 0 and fractions[-1] == 1.0

    def broken():
        raise ReconError("c.jpg is truncated")

    with pytest.raises(ReconError, match="truncated"):
        estimate_poses([*room[0][:2], Photo("c.jpg", 240, 180, None, broken)], settings)
    assert list(tmp_path.iterdir()) == []


def test_a_photo_of_something_else_is_left_out_by_name(room, settings, photo):
    rng = np.random.default_rng(5)
    other = cv2.resize(rng.random((60, 80, 3)).astype(np.float32), (240, 180), interpolation=cv2.INTER_CUBIC)
    estimate = estimate_poses([*room[0][:4], photo("other.jpg", other.clip(0, 1))], settings)
    assert estimate.status == "certified" and len(estimate.cameras) == 4
    assert set(estimate.left_out) == {"other.jpg"}
    assert "other.jpg is left out: it shares " in estimate.diagnosis[0]
    assert "take one photo between other.jpg and view_0" in estimate.diagnosis[0]


def test_photos_without_overlap_are_refused_with_their_names(settings, photo):
    rng = np.random.default_rng(6)
    pictures = [cv2.resize(rng.random((60, 80, 3)).astype(np.float32), (240, 180)) for _ in range(3)]
    estimate = estimate_poses(
        [photo(f"{name}.jpg", p) for name, p in zip("abc", pictures, strict=True)], settings
    )
    assert estimate.status == "refused" and not estimate.cameras and estimate.points is None
    assert set(estimate.left_out) == {"a.jpg", "b.jpg", "c.jpg"}
    text = " ".join(estimate.diagnosis)
    assert all(f"{name}.jpg" in text for name in "abc") and "overlap enough" in text


def test_identical_and_featureless_photos_take_no_part(room, settings, photo):
    copy = photo("copy.jpg", room[0][0].image.copy())
    noisy = room[0][1].image + np.random.default_rng(0).normal(0, 0.01, (180, 240, 3)).astype(np.float32)
    blank = photo("blank.jpg", np.full((180, 240, 3), 0.5, dtype=np.float32))
    estimate = estimate_poses([*room[0][:3], copy, photo("again.jpg", noisy.clip(0, 1)), blank], settings)
    assert estimate.status == "certified" and list(estimate.cameras) == [p.name for p in room[0][:3]]
    assert "same picture as view_00.png" in estimate.left_out["copy.jpg"]
    assert "same picture as view_01.png" in estimate.left_out["again.jpg"]
    assert "hardly any features" in estimate.left_out["blank.jpg"]


def test_two_identical_photos_are_refused(room, settings, photo):
    estimate = estimate_poses([room[0][0], photo("copy.jpg", room[0][0].image)], settings)
    assert estimate.status == "refused"
    assert "same picture" in estimate.diagnosis[0] and "Fewer than two usable" in estimate.diagnosis[1]


def test_two_photos_are_at_most_plausible(room, settings):
    pair = [room[0][0], room[0][2]]
    refused = estimate_poses(pair, settings)
    assert refused.status == "refused" and "Add a third" in " ".join(refused.diagnosis)
    accepted = estimate_poses(pair, replace(settings, accept="uncertified"))
    assert accepted.status == "plausible" and len(accepted.cameras) == 2 and accepted.diagnosis


def test_sizes_and_orientations_may_differ(room, settings, photo, pose_errors):
    photos, truth = room
    small = cv2.resize(photos[1].image, (200, 150), interpolation=cv2.INTER_AREA)
    upright = np.ascontiguousarray(np.rot90(photos[3].image, 1))
    mixed = [photos[0], photo("small.jpg", small), photos[2], photo("upright.jpg", upright), photos[4]]
    estimate = estimate_poses(mixed, settings)
    assert estimate.status == "certified" and len(estimate.cameras) == 5
    turn = np.diag([0.0, 0.0, 1.0, 1.0])
    turn[0, 1], turn[1, 0] = 1.0, -1.0  # the picture turned left: its x is the old y, its y the old -x
    expected = {name: camera.world_to_camera for name, camera in truth.items()}
    expected["small.jpg"] = expected["view_01.png"]
    expected["upright.jpg"] = turn @ expected["view_03.png"]
    found = {name: camera.world_to_camera for name, camera in estimate.cameras.items()}
    rotation, direction = pose_errors(found, expected)
    assert rotation < 0.5 and direction < 1.5
    lens = estimate.cameras["upright.jpg"].lens
    assert (lens.width, lens.height) == (180, 240)


def test_a_wrong_stated_focal_length_does_no_harm(room, settings):
    """The statement is only a start: the photos correct it."""
    focal = room[1]["view_00.png"].fx
    stated = [Photo(p.name, p.width, p.height, 0.75 * focal, p.load) for p in room[0]]
    estimate = estimate_poses(stated, settings)
    assert estimate.status == "certified"
    assert estimate.cameras["view_00.png"].lens.focal == pytest.approx(focal, rel=0.03)


@pytest.mark.parametrize(("count", "words"), [(0, "at least two"), (1, "at least two")])
def test_too_few_photos_is_an_error(room, count, words, settings):
    with pytest.raises(ReconError, match=words):
        estimate_poses(room[0][:count], settings)


def test_repeated_names_and_impossible_focal_lengths_are_errors(room, settings):
    with pytest.raises(ReconError, match=r"names must differ.*view_00"):
        estimate_poses([room[0][0], room[0][0]], settings)
    with pytest.raises(ReconError, match="35 mm equivalent"):
        estimate_poses(room[0], PoseSettings(focal_mm=0.0))


def test_pictures_are_read_once(room, settings):
    reads: list[str] = []

    def counting(p: Photo) -> Photo:
        def load() -> Pixels:
            reads.append(p.name)
            return p.pixels

        return Photo(p.name, p.width, p.height, None, load)

    estimate_poses([counting(p) for p in room[0][:3]], settings)
    assert sorted(reads) == [p.name for p in room[0][:3]]


def test_opencv_still_writes_png_after_colmap_is_loaded(tmp_path: Path):
    """With pycolmap loaded before OpenCV the PNG writer aborts the process: see load_pycolmap."""
    program = (
        "from recon.poses.colmap import load_pycolmap; load_pycolmap()\n"
        "import cv2, numpy as np\n"
        "image = (np.random.default_rng(0).random((500, 600, 3)) * 255).astype('uint8')\n"
        f"assert cv2.imwrite({str(tmp_path / 'a.png')!r}, image, [cv2.IMWRITE_PNG_COMPRESSION, 1])\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[2])
