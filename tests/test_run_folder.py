"""The run folder protects what is already there."""

import json

import pytest

from recon.errors import ReconError
from recon.run_folder import Phases, RunFolder


def test_an_existing_run_is_not_overwritten_unless_asked(tmp_path):
    run = RunFolder.create(tmp_path / "run", overwrite=False)
    run.write_config({"seed": 0})
    run.splat_file.write_bytes(b"splat")
    with pytest.raises(ReconError, match="--resume"):
        RunFolder.create(tmp_path / "run", overwrite=False)
    assert run.read_config() == {"seed": 0}
    RunFolder.create(tmp_path / "run", overwrite=True)
    assert not run.config_file.exists()


def test_a_run_that_failed_before_it_made_anything_is_no_obstacle(tmp_path):
    RunFolder.create(tmp_path / "run", overwrite=False).write_config({"seed": 0})
    assert RunFolder.create(tmp_path / "run", overwrite=False).path == tmp_path / "run"


def test_overwrite_deletes_no_folder_that_is_not_a_run(tmp_path):
    (tmp_path / "holiday.jpg").write_bytes(b"photo")
    with pytest.raises(ReconError, match="will not delete"):
        RunFolder.create(tmp_path, overwrite=True)
    assert (tmp_path / "holiday.jpg").read_bytes() == b"photo"


def test_a_file_in_the_way_is_told(tmp_path):
    (tmp_path / "run").write_text("x")
    with pytest.raises(ReconError, match="is a file"):
        RunFolder.create(tmp_path / "run", overwrite=False)


def test_opening_something_else_is_told(tmp_path):
    with pytest.raises(ReconError, match="not a run folder"):
        RunFolder.open(tmp_path)


def test_an_unfinished_run_says_how_to_go_on(tmp_path):
    run = RunFolder.create(tmp_path / "run", overwrite=False)
    with pytest.raises(ReconError, match="--resume"):
        run.read_metrics()


def test_phases_are_logged_as_they_end(tmp_path):
    run = RunFolder.create(tmp_path / "run", overwrite=False)
    phases = Phases(run)
    phases.start()
    phases.end("stereo")
    phases.end("train", seconds=2.5)
    lines = [json.loads(line) for line in run.log_file.read_text().splitlines()]
    assert [line["name"] for line in lines] == ["stereo", "train"]
    assert lines[1]["seconds"] == 2.5
    assert phases.seconds["train"] == 2.5
