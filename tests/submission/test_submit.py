"""From a SpaRe folder to a checked zip, end to end, with tiny trainings."""

import io
import json
import re
import shutil
import zipfile

import numpy as np
import pytest
from PIL import Image
from submission_cases import write_spare_folder

from recon.cli.main import main
from recon.datasets.spare import HEIGHT, WIDTH, picture_name
from recon.errors import ReconError
from recon.methods.pipeline import reconstruct
from recon.submission import submit as submit_module
from recon.submission.spare import asked
from recon.submission.submit import SubmitOptions, submit_spare

FAST = ("train.iterations=15", "initial.count=1500", "stereo.planes=64")

INPUTS, TESTS = (0, 2, 4), (1, 3)


@pytest.fixture(scope="module")
def spare_room(textured_scene, tmp_path_factory):
    """Two DTU scenes of the ray-cast room in SpaRe's layout, one with its held-out photos; no synthetic half."""
    folder = tmp_path_factory.mktemp("spare_room")
    views = textured_scene.scene.train_views[:5]
    (folder / "dtu_calibration").mkdir()
    for index, view in enumerate(views):
        full = view.camera.resized(WIDTH, HEIGHT)
        np.savetxt(
            folder / "dtu_calibration" / f"pos_{index + 1:03d}.txt", full.matrix @ full.world_to_camera[:3]
        )
    for scene, present in (("scan1", range(5)), ("scan2", INPUTS)):
        (folder / "images" / scene).mkdir(parents=True)
        for index in present:
            image = views[index].image if scene == "scan1" else 1 - views[index].image
            pixels = np.rint(image * 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "images" / scene / picture_name(index, "DTU"))
    entries = {
        name: {"input_views": INPUTS, "test_views": TESTS, "dataset": half}
        for name, half in (("scan1", "DTU"), ("scan2", "DTU"), ("Jenga", "Synthetic"))
    }
    (folder / "Track1_split_development.json").write_text(json.dumps(entries))
    return folder


def options(folder, output, **changes) -> SubmitOptions:
    values = {
        "data": folder,
        "output": output,
        "track": 1,
        "split": "development",
        "method": "splat",
        "preset": "quick",
        "device": "cpu",
        "settings": FAST,
    }
    return SubmitOptions(**{**values, **changes})


class InThisProcess:
    """An executor whose tasks cost no new process; the command's own is in `test_the_command_…`."""

    def __init__(self, failing: tuple[str, ...] = ()) -> None:
        self.ran: list[str] = []
        self._failing = failing

    def run(self, tasks, finished):
        for task in tasks:
            self.ran.append(task.scene)
            if task.scene in self._failing:
                finished(task, "its process was killed by signal 9")
            else:
                reconstruct(task.options)
                finished(task, None)


@pytest.fixture
def executor(monkeypatch):
    chosen = InThisProcess()
    monkeypatch.setattr(submit_module, "open_executor", lambda name, workers: chosen)
    return chosen


@pytest.fixture(scope="module")
def submitted(spare_room, tmp_path_factory):
    """The command itself, with a process per scene."""
    output = tmp_path_factory.mktemp("submitted") / "mine.zip"
    arguments = [
        *("submit", "spare", "--data", str(spare_room), "--track", "1", "--split", "development"),
        *("--method", "splat", "--preset", "quick", "--device", "cpu", "--extra-data", "none at all, really"),
        *("--executor", "local", "--workers", "1", "-o", str(output), "--set", *FAST),
    ]
    main(arguments)
    return output


def test_the_command_writes_what_the_protocol_asks_for(submitted, spare_room, capsys):
    with zipfile.ZipFile(submitted) as archive:
        names = archive.namelist()
        assert names == [
            "readme.txt",
            *(f"{s}/rect_00{n}_3_r5000.png" for s in ("scan1", "scan2") for n in (2, 4)),
        ]
        for name in names[1:]:
            picture = Image.open(io.BytesIO(archive.read(name)))
            assert (picture.format, picture.mode, picture.size) == ("PNG", "RGB", (1600, 1200))
        readme = archive.read("readme.txt").decode()
    choice = ("--data", str(spare_room), "--track", "1", "--split", "development")
    main(["submit", "check", str(submitted), *choice])
    assert capsys.readouterr().out.splitlines()[-1] == "verdict: valid (0 faults, 0 warnings)"
    assert re.search(r"^runtime per image \[s\] : \d+\.\d{3}$", readme, re.MULTILINE)
    assert "CPU[1] / GPU[0] : 1\nExtra Data [1] / No Extra Data [0] : 1\n" in readme
    assert "Extra data: none at all, really." in readme and "Method: splat, preset quick, seed 0." in readme
    for scene in ("scan1", "scan2"):
        seconds = json.loads((submitted.with_suffix(".runs") / scene / "metrics.json").read_text())["seconds"]
        training = sum(seconds[phase] for phase in ("poses", "stereo", "train"))
        assert re.search(rf"^  {scene}: {training:.1f}; \d+\.\d{{3}}$", readme, re.MULTILINE)
    assert str(submitted.parent) not in readme, "what is handed in says nothing of this machine's folders"


def test_the_pictures_are_those_that_the_evaluation_compares(submitted, spare_room, tmp_path, monkeypatch):
    """At the run's own size they are bit for bit the renders of the held-out views."""
    from recon.methods.options import ReconstructOptions, resolve
    from recon.run_folder import RunFolder
    from recon.submission import render

    run = RunFolder(tmp_path / "scan1")
    shutil.copytree(submitted.with_suffix(".runs") / "scan1", run.path)
    shutil.rmtree(run.path / "submission")
    monkeypatch.setattr(render, "SIZE", (96, 72))
    settings = resolve(
        ReconstructOptions(spare_room, run.path, protocol="spare", scene="scan1", track=1, device="cpu")
    )
    rendered = render.render_scene(asked(spare_room, 1, "development").scenes["scan1"], settings, run)
    for name, file in rendered.pictures.items():
        evaluated = run.path / "renders" / "test" / f"{name}.png"
        np.testing.assert_array_equal(np.asarray(Image.open(file)), np.asarray(Image.open(evaluated)))


def test_the_full_size_pictures_show_the_same_as_the_small_ones(submitted):
    with zipfile.ZipFile(submitted) as archive:
        large = Image.open(io.BytesIO(archive.read("scan1/rect_002_3_r5000.png")))
    small = Image.open(submitted.with_suffix(".runs") / "scan1/renders/test/rect_002_3_r5000.png.png")
    difference = np.asarray(large.resize(small.size, Image.Resampling.BOX), float) - np.asarray(small, float)
    assert np.abs(difference).mean() < 10


def test_the_same_runs_give_the_same_bytes(submitted, spare_room, executor):
    before = submitted.read_bytes()
    submitted.unlink()
    verdict = submit_spare(
        options(spare_room, submitted, extra_data="none at all, really"), lambda text: None
    )
    assert verdict.passed and submitted.read_bytes() == before
    assert executor.ran == [], "finished scenes are not reconstructed again"


def test_a_scene_that_is_gone_is_made_again_and_the_others_stay(submitted, spare_room, tmp_path, executor):
    output = tmp_path / "again.zip"
    shutil.copytree(submitted.with_suffix(".runs"), output.with_suffix(".runs"))
    shutil.rmtree(output.with_suffix(".runs") / "scan2")
    kept = (output.with_suffix(".runs") / "scan1" / "submission" / "rendered.json").read_bytes()
    said: list[str] = []
    assert submit_spare(options(spare_room, output), said.append).passed
    assert executor.ran == ["scan2"] and "1 of 2 scenes are reconstructed already" in said
    assert (output.with_suffix(".runs") / "scan1" / "submission" / "rendered.json").read_bytes() == kept


def test_a_failed_scene_leaves_no_zip_and_the_others_done(spare_room, tmp_path, monkeypatch):
    broken = InThisProcess(failing=("scan1",))
    monkeypatch.setattr(submit_module, "open_executor", lambda name, workers: broken)
    with pytest.raises(
        ReconError, match=r"1 of 2 scenes could not be .*no zip was written.*\n  scan1: its process"
    ):
        submit_spare(options(spare_room, tmp_path / "a.zip"), lambda text: None)
    assert not (tmp_path / "a.zip").exists()
    assert (tmp_path / "a.runs" / "scan2" / "metrics.json").is_file()


def test_a_half_without_files_is_left_out_in_words(submitted, spare_room, tmp_path, executor):
    output = tmp_path / "half.zip"
    shutil.copytree(submitted.with_suffix(".runs"), output.with_suffix(".runs"))
    said: list[str] = []
    submit_spare(options(spare_room, output), said.append)
    place = said.index("the Synthetic half is left out, none of its 1 scenes can be reconstructed:")
    assert (
        said[place + 1].startswith("  Jenga (Synthetic): ")
        and "has no pictures of scene Jenga" in said[place + 1]
    )


def test_a_scene_that_lacks_files_in_a_half_that_is_there_is_an_error(spare_room, tmp_path):
    folder = tmp_path / "data"
    shutil.copytree(spare_room, folder)
    (folder / "images" / "scan2" / picture_name(2, "DTU")).unlink()
    with pytest.raises(ReconError) as error:
        submit_spare(options(folder, tmp_path / "a.zip"), lambda text: None)
    message = str(error.value)
    assert "1 of the 2 scenes of the DTU half cannot be reconstructed" in message
    assert (
        "--scenes scan1" in message
        and "  scan2 (DTU): input picture rect_003_3_r5000.png is not in" in message
    )
    with pytest.raises(
        ReconError, match=r"scenes that were chosen cannot be reconstructed:\n  scan2 \(DTU\): "
    ):
        submit_spare(options(folder, tmp_path / "a.zip", scenes=("scan1", "scan2")), lambda text: None)
    assert not (tmp_path / "a.runs").exists()


def test_without_calibration_nothing_is_started(spare_room, tmp_path):
    folder = tmp_path / "data"
    shutil.copytree(spare_room, folder)
    shutil.rmtree(folder / "dtu_calibration")
    said: list[str] = []
    with pytest.raises(ReconError, match="has neither half of SpaRe track 1, development"):
        submit_spare(options(folder, tmp_path / "a.zip"), said.append)
    assert any("has no DTU calibration" in line for line in said)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 1}, "holds runs with another seed: give the zip another name"),
        ({"method": "quality", "settings": ()}, "holds runs with another method, settings"),
        ({"settings": ("nonsense=1",)}, "there is no setting 'nonsense'"),
        ({"method": "magic"}, "there is no method 'magic'"),
        ({"track": 2}, r"has no Track2_split_development\.json"),
        ({"scenes": ("scan3",)}, "has no scene scan3"),
    ],
)
def test_what_does_not_fit_is_refused_before_any_work(submitted, spare_room, executor, changes, message):
    before = submitted.read_bytes()
    with pytest.raises(ReconError, match=message):
        submit_spare(options(spare_room, submitted, **changes), lambda text: None)
    assert submitted.read_bytes() == before and executor.ran == []


def test_the_zip_needs_a_name_that_ends_in_zip(spare_room, tmp_path):
    with pytest.raises(ReconError, match=r"give the zip's name, such as mine\.zip"):
        submit_spare(options(spare_room, tmp_path / "mine"), lambda text: None)


def test_a_zip_of_somebody_else_is_not_replaced(spare_room, tmp_path, executor):
    (tmp_path / "theirs.zip").write_bytes(b"precious")
    with pytest.raises(ReconError, match=r"theirs\.zip is there already and would be replaced"):
        submit_spare(options(spare_room, tmp_path / "theirs.zip"), lambda text: None)
    assert (tmp_path / "theirs.zip").read_bytes() == b"precious" and executor.ran == []


def test_a_folder_that_no_submission_made_is_left_alone(spare_room, tmp_path, executor):
    (tmp_path / "a.runs").mkdir()
    (tmp_path / "a.runs" / "thesis.txt").write_text("x")
    with pytest.raises(ReconError, match=r"a\.runs holds files that no submission made"):
        submit_spare(options(spare_room, tmp_path / "a.zip"), lambda text: None)


def test_an_interrupted_command_says_how_to_go_on(spare_room, tmp_path, monkeypatch, capsys):
    class Interrupted:
        def run(self, tasks, finished):
            raise KeyboardInterrupt

    monkeypatch.setattr(submit_module, "open_executor", lambda name, workers: Interrupted())
    arguments = [
        "--data",
        str(spare_room),
        "--track",
        "1",
        "--split",
        "development",
        "-o",
        str(tmp_path / "a.zip"),
    ]
    with pytest.raises(SystemExit) as stop:
        main(["submit", "spare", *arguments, "--device", "cpu"])
    assert stop.value.code == 130
    assert "interrupted; the same command goes on where it stopped" in capsys.readouterr().err


def test_the_work_folder_is_not_read_as_photos(spare_room, tmp_path, executor):
    """Somebody works inside of the data's folder: the renders there are no photos of the scene."""
    folder = tmp_path / "data"
    shutil.copytree(spare_room, folder)
    submit_spare(options(folder, folder / "mine.zip", scenes=("scan2",)), lambda text: None)
    verdict = submit_spare(options(folder, folder / "mine.zip", scenes=("scan2",)), lambda text: None)
    assert verdict.findings == ()


def test_the_tiny_folder_of_the_check_can_be_opened(tmp_path):
    write_spare_folder(tmp_path, (32, 24))
    assert set(asked(tmp_path, 1, "development").scenes) == {"scan1", "scan2", "Jenga"}
