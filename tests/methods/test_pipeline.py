"""From photos to a run folder, end to end, on a small ray-cast scene."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from recon.datasets import write_transforms
from recon.errors import ReconError
from recon.methods.open_inputs import open_inputs
from recon.methods.options import ReconstructOptions, resolve
from recon.methods.pipeline import evaluate, reconstruct
from recon.methods.stereo_inputs import stereo_inputs
from recon.run_folder import RunFolder
from recon.scene import View
from recon.splats.formats import read_splats

FAST = ("train.iterations=40", "initial.count=3000", "stereo.planes=64")


@pytest.fixture(scope="module")
def capture(textured_scene, tmp_path_factory):
    """A transforms.json data set of the ray-cast room, with a split file."""
    folder = tmp_path_factory.mktemp("capture")
    scene = textured_scene.scene
    write_transforms(folder / "transforms.json", scene, pictures=True)
    split = {"train": list(scene.train), "test": list(scene.test)}
    (folder / "split.json").write_text(json.dumps(split))
    return folder


def options(capture, output, **changes) -> ReconstructOptions:
    values = {
        "photos": capture,
        "output": output,
        "split": capture / "split.json",
        "preset": "quick",
        "device": "cpu",
        "settings": FAST,
    }
    return ReconstructOptions(**{**values, **changes})


@pytest.fixture(scope="module")
def finished(capture, tmp_path_factory):
    return reconstruct(options(capture, tmp_path_factory.mktemp("runs") / "run"))


def test_a_run_folder_holds_everything_that_was_promised(finished):
    names = ("config.yaml", "cameras.json", "splat.ply", "metrics.json", "log.jsonl", "report.html")
    for name in (*names, "confidence.safetensors", "stereo_points.ply"):
        assert (finished.path / name).is_file(), name
    for folder in ("renders/train", "renders/test", "truth/test", "depth", "checkpoints"):
        assert any((finished.path / folder).iterdir()), folder


def test_transparent_photos_are_rendered_over_the_colour_put_behind_them(capture, tmp_path):
    cut_out = tmp_path / "cut_out"
    shutil.copytree(capture, cut_out)
    for path in cut_out.rglob("*.png"):
        with Image.open(path) as picture:
            picture.putalpha(picture.convert("L").point(lambda value: 255 if value > 100 else 0))
            picture.save(path)
    for folder, background in ((capture, None), (cut_out, (1.0, 1.0, 1.0))):
        settings = resolve(options(folder, tmp_path / "run"))
        scene = open_inputs(settings, RunFolder.create(tmp_path / f"run_{folder.name}", overwrite=False))
        assert scene.background == background
        assert (scene.train_views[0].cutout is None) == (background is None)


def test_photos_of_different_exposure_are_evened_out(capture, tmp_path):
    exposed = tmp_path / "exposed"
    shutil.copytree(capture, exposed)
    names = json.loads((capture / "split.json").read_text())["train"]
    for name, factor in zip(names, (0.8, 1.0, 1.0, 1.0, 1.25), strict=True):
        (path,) = exposed.rglob(name)
        values = np.asarray(Image.open(path), np.float64) * factor
        Image.fromarray(values.clip(0, 255).round().astype(np.uint8)).save(path)
    even = reconstruct(options(exposed, tmp_path / "even"))
    assert json.loads(even.exposures_file.read_text())[names[0]] == pytest.approx([0.8] * 3, rel=0.02)
    metrics = even.read_metrics()
    assert any("exposed differently, 0.80 to 1.2" in note for note in metrics["notes"])
    evaluate(even.path)
    assert even.read_metrics() == metrics, "measured against the same photos again"
    uneven = reconstruct(
        options(exposed, tmp_path / "uneven", settings=(*FAST, "stereo.exposures=false"))
    ).read_metrics()
    assert metrics["test"]["psnr"] > uneven["test"]["psnr"] + 1
    even.exposures_file.write_text('{"a.png": [1, 2]}')
    with pytest.raises(ReconError, match="three positive factors"):
        evaluate(even.path)


def test_the_metrics_are_those_of_the_pictures(finished):
    metrics = finished.read_metrics()
    assert metrics["method"] == "quality" and metrics["poses"] == "given"
    assert metrics["iterations"] == 40 and metrics["gaussians"] == len(read_splats(finished.splat_file))
    assert set(metrics["seconds"]) >= {"poses", "stereo", "train", "evaluate", "total"}
    assert metrics["test"]["lpips"] is None, "not measured is null, never 0"
    name, values = next(iter(metrics["test"]["per_image"].items()))
    render, truth = (
        np.asarray(Image.open(finished.path / kind / "test" / f"{name}.png"), np.float64) / 255
        for kind in ("renders", "truth")
    )
    assert -10 * np.log10(((render - truth) ** 2).mean()) == pytest.approx(values["psnr"], abs=0.1)


def test_the_reconstruction_resembles_the_held_out_photos(finished):
    assert finished.read_metrics()["test"]["psnr"] > 17


def test_measuring_again_changes_nothing(finished):
    """Command, date, machine, times and pictures stay those of the reconstruction."""

    def files():
        return {
            path.relative_to(finished.path): path.read_bytes()
            for path in finished.path.rglob("*")
            if path.is_file()
        }

    metrics, before = finished.read_metrics(), files()
    evaluate(finished.path)
    assert finished.read_metrics() == metrics
    after = files()
    assert {str(path) for path in before if after.get(path) != before[path]} == set()
    assert set(after) == set(before)


def test_a_run_that_lost_its_metrics_can_be_measured(finished, tmp_path):
    run = RunFolder(tmp_path / "copy")
    shutil.copytree(finished.path, run.path)
    run.metrics_file.unlink()
    evaluate(run.path)
    metrics, whole = run.read_metrics(), finished.read_metrics()
    assert metrics["test"] == whole["test"] and metrics["config_hash"] == whole["config_hash"]
    assert "command" not in metrics, "the command that measured is not the one that reconstructed"


def test_the_layout_is_a_note_and_no_warning(finished):
    metrics = finished.read_metrics()
    assert metrics["warnings"] == []
    assert metrics["notes"] == ["read as transforms (transforms.json (nerfstudio, instant-ngp))"]


def test_a_killed_run_resumes_to_the_same_splat(capture, tmp_path, monkeypatch, finished):
    from recon.train.trainer import Trainer

    settings = (*FAST, "train.checkpoint_every=10")
    step = Trainer.step

    def killed_at_25(self):
        if self.iteration == 25:
            raise KeyboardInterrupt
        return step(self)

    monkeypatch.setattr(Trainer, "step", killed_at_25)
    with pytest.raises(KeyboardInterrupt):
        reconstruct(options(capture, tmp_path / "run", settings=settings))
    monkeypatch.undo()
    run = reconstruct(options(capture, tmp_path / "run", resume=True))
    whole, resumed = read_splats(finished.splat_file), read_splats(run.splat_file)
    for name, tensor in whole.tensors().items():
        assert (tensor == resumed.tensors()[name]).all(), name


def test_an_observer_is_told_every_step_and_sees_held_out_photos_only_at_the_end(capture, tmp_path):
    from recon.methods.observer import Observer

    told = []

    class Listener(Observer):
        def phase(self, name):
            told.append(name)

        def opened(self, run, scene):
            told.append(f"{len(scene.train)} views")

        def stereo(self, inputs):
            told.append("points" if len(inputs.points) else "no points")

        def training(self, trainer):
            told.append(f"trainer at {trainer.iteration}")

        def finished(self, run):
            told.append("metrics" if run.metrics_file.exists() else "no metrics")

    settings = (*FAST, "train.iterations=3")
    run = reconstruct(options(capture, tmp_path / "run", settings=settings), Listener())
    expected = ["poses", "5 views", "stereo", "points", "train", "trainer at 0", "evaluate", "metrics"]
    assert told == expected
    assert "stopped_early" not in run.read_metrics()


def test_plain_splatting_from_random_gaussians_runs_too(capture, tmp_path):
    settings = ("train.iterations=10", "initial.kind=random", "initial.count=500", "stereo.planes=64")
    run = reconstruct(options(capture, tmp_path / "run", method="splat", settings=settings))
    assert run.read_metrics()["method"] == "splat"


def test_stereo_and_training_open_no_held_out_photo(textured_scene):
    """Held-out views whose loaders fail do not disturb anything before the evaluation."""
    from recon.methods.pipeline import method_module

    def forbidden():
        raise AssertionError("a held-out photo was opened")

    scene = textured_scene.scene
    guarded = tuple(
        View(view.name, view.camera, forbidden if view.name in scene.test else view.load)
        for view in scene.views
    )
    scene = type(scene)(**{**scene.__dict__, "views": guarded})
    settings = resolve(
        ReconstructOptions(photos=".", output=".", preset="quick", device="cpu", settings=FAST)
    )
    inputs = stereo_inputs(scene.train_views, settings.stereo_config, bounds=scene.bounds)
    import torch

    trainer = method_module("quality").compose(inputs, settings.method_config, 0, torch.device("cpu"))
    trainer.run()
    assert {view.name for view in inputs.views}.isdisjoint(scene.test)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"method": "magic"}, "there is no method 'magic'"),
        ({"preset": "instant"}, "no preset 'instant'"),
        ({"settings": ("train.iteratoins=5",)}, "there is no setting 'iteratoins'"),
        ({"settings": ("stereo.plains=5",)}, "there is no setting 'plains'"),
        ({"settings": ("train.iterations=soon",)}, "expected int"),
        ({"poses": "estimate"}, "comes with cameras"),
    ],
)
def test_a_wrong_wish_is_told_in_a_sentence(capture, tmp_path, changes, words):
    with pytest.raises(ReconError, match=words):
        reconstruct(options(capture, tmp_path / "run", **changes))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"settings": ("train.iterations=41",)}, "--set"),
        ({"settings": ("stereo.planes=128",)}, "--set"),
        ({"method": "splat", "seed": 3}, "--method, --seed"),
        ({"scene": "scan65"}, "--scene"),
    ],
)
def test_what_resuming_would_ignore_is_refused(capture, finished, changes, named):
    with pytest.raises(ReconError, match=f"other values of {named}, and --resume"):
        reconstruct(options(capture, finished.path, resume=True, **changes))


def test_resuming_needs_no_option_repeated(capture, finished):
    bare = ReconstructOptions(photos=capture, output=finished.path, resume=True)
    assert reconstruct(bare).path == finished.path
    assert reconstruct(options(capture, finished.path, resume=True)).path == finished.path


def test_a_run_that_was_killed_before_its_report_gets_it(capture, finished, tmp_path):
    run = RunFolder(tmp_path / "copy")
    shutil.copytree(finished.path, run.path)
    run.report_file.unlink()
    reconstruct(options(capture, run.path, resume=True))
    assert run.report_file.exists() and run.read_metrics() == finished.read_metrics()


def test_an_existing_run_is_kept(capture, finished):
    with pytest.raises(ReconError, match="--overwrite"):
        reconstruct(options(capture, finished.path))
    assert finished.splat_file.exists()


def test_one_input_is_not_enough(capture, tmp_path, textured_scene):
    split = tmp_path / "one.json"
    split.write_text(json.dumps({"train": [textured_scene.scene.train[0]]}))
    with pytest.raises(ReconError, match="at least two"):
        reconstruct(options(capture, tmp_path / "run", split=split))
