"""What is concluded from the checks of estimated poses, kept in the run folder and told."""

from dataclasses import replace

import numpy as np
import pytest

from recon.datasets import read_cameras
from recon.errors import ReconError
from recon.export.run import export_run
from recon.files import read_json, write_json
from recon.methods import estimated_scene as module
from recon.methods.estimated_scene import conclude, estimated_scene
from recon.methods.options import ReconstructOptions, resolve
from recon.methods.results import write_cameras
from recon.poses import EstimatedCamera, Lens, PoseEstimate
from recon.poses.holdout import HoldoutCheck, RenderingCheck
from recon.run_folder import RunFolder
from recon.scene import SparsePoints
from recon.synth.raycast import raycast_scene


def rendering(*results: str) -> RenderingCheck:
    return RenderingCheck(
        tuple(HoldoutCheck(f"{i}.jpg", r, 0.001, 0.9, 0.8, f"{i} {r}") for i, r in enumerate(results))
    )


@pytest.mark.parametrize(
    ("results", "status", "warnings"),
    [
        (("passed", "passed"), "certified", ()),
        (("passed", "undecided"), "certified", ()),
        (("undecided", "undecided"), "certified", ("0 undecided", "1 undecided")),
        (("passed", "failed", "undecided"), "uncertified", ("1 failed", "2 undecided")),
    ],
)
def test_only_a_shifted_picture_takes_the_certificate(results, status, warnings):
    conclusion = conclude("certified", rendering(*results), len(results))
    assert (conclusion.status, conclusion.warnings) == (status, warnings)


def test_nothing_is_skipped_silently():
    assert (
        "of 2 photos left out in turn, 1 agree"
        in conclude("certified", rendering("passed", "undecided"), 2).notes[0]
    )
    (note,) = conclude("plausible", None, 3).notes
    assert "not checked by rendering" in note and "4 photos" in note and "here are 3" in note


@pytest.fixture
def photos(tmp_path):
    from PIL import Image

    scene = raycast_scene("box_room", views=4, size=(96, 72), supersampling=1).scene
    folder = tmp_path / "photos"
    folder.mkdir()
    for view in scene.views:
        Image.fromarray(np.rint(view.image * 255).astype(np.uint8)).save(folder / view.name)
    return folder, scene


def estimate_of(scene) -> PoseEstimate:
    cameras = {
        view.name: EstimatedCamera(
            view.camera.world_to_camera,
            Lens(view.camera.fx, view.camera.cx, view.camera.cy, 0.0, view.camera.width, view.camera.height),
        )
        for view in scene.views
    }
    points = SparsePoints(np.arange(6.0).reshape(2, 3), np.array([[1, 2, 3], [4, 5, 6]], np.uint8))
    return PoseEstimate("certified", cameras, {}, points, None, None, "incremental", (), ("told",), 1.0)


@pytest.fixture
def run(photos, tmp_path, monkeypatch):
    """A run whose poses are known and whose check by rendering the test decides."""
    folder, scene = photos
    monkeypatch.setattr(module, "estimate_poses", lambda *arguments: estimate_of(scene))
    return RunFolder.create(tmp_path / "run", overwrite=False), folder


def settings(folder, **changes):
    return resolve(ReconstructOptions(photos=folder, output=folder, preset="quick", device="cpu", **changes))


def test_points_and_checks_are_kept_and_read_back(run, monkeypatch):
    run, folder = run
    monkeypatch.setattr(module, "check_poses", lambda *arguments: rendering("passed"))
    first = estimated_scene(settings(folder), run)
    monkeypatch.setattr(module, "estimate_poses", lambda *arguments: pytest.fail("estimated twice"))
    scene = estimated_scene(settings(folder), run)
    assert scene.poses == first.poses == "certified"
    assert scene.warnings == ("told",) and scene.notes == first.notes and "rendered" in scene.notes[0]
    assert np.array_equal(scene.points.positions, np.arange(6.0).reshape(2, 3))
    assert read_json(run.path / "poses.json")["check_by_rendering"]["result"] == "passed"

    write_cameras(run, scene)
    run.write_config({})
    assert np.array_equal(read_cameras(run.cameras_file).points.colors, scene.points.colors)
    from recon.datasets.colmap_model import read_model

    model = read_model(export_run(run.path, "colmap") / "sparse" / "0")
    assert np.allclose(model.points.positions, scene.points.positions)


def test_points_that_a_held_out_photo_helped_to_find_are_not_used(run, tmp_path, monkeypatch):
    run, folder = run
    monkeypatch.setattr(module, "check_poses", lambda *arguments: rendering("passed"))
    names = sorted(path.name for path in folder.iterdir())
    write_json(tmp_path / "split.json", {"train": names[:3], "test": names[3:]})
    scene = estimated_scene(settings(folder, split=tmp_path / "split.json"), run)
    assert scene.points is None and scene.test == (names[3],)
    assert "estimated and checked together" in scene.warnings[-1]


def test_a_failed_check_refuses_unless_uncertified_poses_are_accepted(run, monkeypatch):
    run, folder = run
    monkeypatch.setattr(module, "check_poses", lambda *arguments: rendering("passed", "failed"))
    with pytest.raises(ReconError, match=r"could not be verified[\s\S]*1 failed[\s\S]*--poses uncertified"):
        estimated_scene(settings(folder), run)
    assert not (run.path / "poses.json").exists(), "the refused answer is not kept"
    scene = estimated_scene(settings(folder, poses="uncertified"), run)
    assert scene.poses == "uncertified" and "1 failed" in scene.warnings


def test_the_check_is_made_with_small_pictures_of_every_placed_photo(run, monkeypatch):
    run, folder = run
    seen = {}

    def check(cameras, views, seed, progress):
        progress("checking", 0.5)
        seen.update(views)
        return rendering("passed")

    monkeypatch.setattr(module, "check_poses", check)
    monkeypatch.setattr(module, "PICTURE_SIZE", 48)
    estimated_scene(replace(settings(folder), seed=3), run)
    assert sorted(seen) == sorted(path.name for path in folder.iterdir())
    assert {view.image.shape for view in seen.values()} == {(36, 48, 3)}


def test_a_damaged_record_is_told(run, monkeypatch):
    run, folder = run
    write_json(run.path / "poses.json", {"cameras": {"view_00.png": {}}})
    with pytest.raises(ReconError, match="damaged"):
        estimated_scene(settings(folder), run)
