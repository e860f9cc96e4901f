"""A benchmark from request to results.json, on a tiny scene."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import worker_tasks
import yaml
from make_scenes import FAST

import recon
from recon.benchmark.executors.local import LocalExecutor
from recon.benchmark.record import read_records, write_records
from recon.benchmark.request import Request
from recon.benchmark.run import run_benchmark
from recon.benchmark.task import RunTask, run_task
from recon.errors import ReconError
from recon.files import locked
from recon.run_folder import RunFolder
from recon.splats.formats import read_splats


class InThisProcess:
    """Runs tasks one after the other, and remembers which."""

    def __init__(self, work: Callable[[RunTask], None] = run_task) -> None:
        self.work = work
        self.ran: list[int] = []

    def run(self, tasks: Sequence[RunTask], finished: Callable[[RunTask, str | None], None]) -> None:
        for task in tasks:
            self.ran.append(task.options.seed)
            try:
                self.work(task)
                finished(task, None)
            except ReconError as error:
                finished(task, str(error))


def no_tables(folder: Path) -> list[Path]:
    return []


def measured(folder: Path) -> dict[int, dict]:
    """Return what was measured by seed, without the times."""
    return {record.seed: record.metrics["test"] for record in read_records(folder)}


@pytest.fixture(scope="module")
def undisturbed(room, tmp_path_factory):
    """Two seeds, made without any trouble."""
    folder = tmp_path_factory.mktemp("undisturbed") / "bench"
    request = Request("custom", room, folder, ("splat",), "quick", seeds=2, device="cpu", settings=FAST)
    run_benchmark(request, executor=InThisProcess())
    return folder


def test_a_benchmark_folder_holds_what_was_promised(undisturbed, room):
    records = read_records(undisturbed)
    assert [record.key for record in records] == [
        ("custom", "room", "room", 5, "splat", "quick", 0),
        ("custom", "room", "room", 5, "splat", "quick", 1),
    ]
    for record in records:
        assert record.run == f"runs/room/room/5-views/splat-quick/seed-{record.seed}"
        run = RunFolder(undisturbed / record.run)
        assert record.metrics == run.read_metrics() and record.metrics["test"]["psnr"] > 3
        assert run.splat_file.exists() and run.report_file.exists()
    asked = yaml.safe_load((undisturbed / "benchmark.yaml").read_text())
    assert asked["protocol"] == "custom" and asked["data"] == str(room) and asked["version"]
    assert asked["methods"] == ["splat"] and asked["views"] == [5] and asked["seeds"] == [0, 1]
    assert asked["runs"] == [record.run for record in records]
    assert not (undisturbed / "failures.json").exists()
    for name in ("table.md", "table.csv", "table.tex", "index.html"):
        assert (undisturbed / name).is_file()


def test_a_killed_worker_changes_nothing_in_the_results(request_room, undisturbed):
    """Seed 0 dies in the middle of its training, after a checkpoint; its second process goes on from there."""
    request = request_room(settings=(*request_room().settings, "train.checkpoint_every=4"))
    executor = LocalExecutor(2, worker_tasks.reconstruct_but_die_in_training)
    records = run_benchmark(request, executor=executor, write_tables=no_tables)
    assert len(records) == 2
    notes = [(request.output / record.run).with_suffix(".notes").read_text().split() for record in records]
    assert notes[0].count("started") == 2 and notes[1].count("started") == 1
    second_life = notes[0][notes[0].index("started", 1) + 1]
    assert second_life == "step-8", "it was resumed from the checkpoint, not begun again"
    for ours, theirs in zip(records, read_records(undisturbed), strict=True):
        one, other = (
            read_splats(folder / run / "splat.ply").tensors()
            for folder, run in ((request.output, ours.run), (undisturbed, theirs.run))
        )
        assert all((one[name] == other[name]).all() for name in one)
    assert measured(request.output) == measured(undisturbed)


def test_a_second_call_makes_what_is_missing_and_leaves_the_rest_alone(request_room, undisturbed):
    request = request_room()

    class Interrupted(InThisProcess):
        def run(self, tasks, finished):
            super().run(tasks[:1], finished)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_benchmark(request, executor=Interrupted(), write_tables=no_tables)
    first = read_records(request.output)
    assert [record.seed for record in first] == [0], "results are on disk after every run"
    before = (request.output / first[0].run / "metrics.json").stat().st_mtime_ns

    executor = InThisProcess()
    run_benchmark(request, executor=executor, write_tables=no_tables)
    assert executor.ran == [1]
    assert (request.output / first[0].run / "metrics.json").stat().st_mtime_ns == before
    assert measured(request.output) == measured(undisturbed)

    executor = InThisProcess()
    run_benchmark(request, executor=executor, write_tables=no_tables)
    assert executor.ran == [], "a finished benchmark is only collected again"


def test_a_folder_can_grow_but_not_change(request_room):
    run_benchmark(request_room(seeds=1), executor=InThisProcess(), write_tables=no_tables)
    output = request_room().output
    executor = InThisProcess()
    records = run_benchmark(
        request_room(seeds=1, methods=("quality",)), executor=executor, write_tables=no_tables
    )
    assert [record.method for record in records] == ["quality", "splat"] and executor.ran == [0]
    asked = yaml.safe_load((output / "benchmark.yaml").read_text())
    assert asked["methods"] == ["splat", "quality"] and len(asked["runs"]) == 2
    with pytest.raises(ReconError, match=r"holds a benchmark with settings .*: choose another folder"):
        run_benchmark(request_room(settings=()), executor=InThisProcess(), write_tables=no_tables)
    with pytest.raises(ReconError, match="started with other values of --downscale"):
        run_benchmark(request_room(seeds=1, downscale=2.0), executor=InThisProcess(), write_tables=no_tables)


def test_what_is_measured_again_is_collected_again(request_room):
    request = request_room(seeds=1)
    run_benchmark(request, executor=InThisProcess(), write_tables=no_tables)
    record = read_records(request.output)[0]
    run = RunFolder(request.output / record.run)
    run.write_metrics({**record.metrics, "date": "2001-01-01"})
    other = request_room(seeds=1, methods=("quality",))
    with pytest.raises(ReconError, match="1 of 1 runs failed"):
        run_benchmark(other, executor=InThisProcess(_fail), write_tables=no_tables)
    assert read_records(request.output)[0].metrics["date"] == "2001-01-01"


def _fail(task: RunTask) -> None:
    raise ReconError(f"seed {task.options.seed} has no luck")


def test_failures_are_recorded_and_named_and_go_when_the_run_succeeds(request_room):
    request = request_room()
    written = []

    def unlucky(task: RunTask) -> None:
        if task.options.seed == 0:
            _fail(task)
        run_task(task)

    with pytest.raises(ReconError, match=r"1 of 2 runs failed \(room room, 5 views, splat quick, seed 0\)"):
        run_benchmark(
            request, executor=InThisProcess(unlucky), write_tables=lambda folder: written.append(folder) or []
        )
    assert written == [request.output], "the tables are written all the same"
    assert [record.seed for record in read_records(request.output)] == [1]
    (failure,) = json.loads((request.output / "failures.json").read_text())
    assert failure == {
        "protocol": "custom",
        "dataset": "room",
        "scene": "room",
        "views": 5,
        "method": "splat",
        "preset": "quick",
        "seed": 0,
        "error": "seed 0 has no luck",
        "run": "runs/room/room/5-views/splat-quick/seed-0",
    }
    run_benchmark(request, executor=InThisProcess(), write_tables=no_tables)
    assert not (request.output / "failures.json").exists()
    assert [record.seed for record in read_records(request.output)] == [0, 1]


def test_each_run_is_told_with_the_time_that_is_left(request_room, capsys):
    run_benchmark(request_room(), executor=InThisProcess(), write_tables=no_tables)
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("[")]
    assert [line.partition(": ")[0] for line in lines] == [
        f"[{n}/2] room room, 5 views, splat quick, seed {n - 1}" for n in (1, 2)
    ]
    assert " dB, " in lines[0] and lines[0].endswith(" left") and not lines[1].endswith("left")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"protocol": "imagenet"}, "there is no benchmark 'imagenet'; there are blender, custom,"),
        ({"methods": ("magic",)}, "there is no method 'magic'"),
        ({"methods": ()}, "--methods names none"),
        ({"methods": ("splat", "splat")}, "would both be written to .* name a method once"),
        ({"seeds": 0}, "1 or more, not 0"),
        ({"workers": 0}, "--workers is the number of runs"),
        ({"views": (3,)}, "protocol custom leaves no choice of --views"),
        ({"part": "test"}, "protocol custom leaves no choice of --part"),
        ({"data": Path("/nowhere")}, "--data /nowhere is not a folder"),
        ({"scenes": ("kitchen",)}, "has no scene kitchen; it has room"),
        ({"executor": "cloud"}, "there is no executor 'cloud'"),
    ],
)
def test_a_wrong_wish_is_told_before_anything_is_run(request_room, changes, words):
    with pytest.raises(ReconError, match=words):
        run_benchmark(request_room(**changes), write_tables=no_tables)


def test_other_peoples_folders_are_left_alone(request_room):
    request = request_room()
    request.output.mkdir()
    (request.output / "thesis.tex").write_text("…")
    with pytest.raises(ReconError, match="holds other files"):
        run_benchmark(request, executor=InThisProcess(), write_tables=no_tables)


def test_two_commands_do_not_work_on_one_folder(request_room):
    request = request_room()
    with locked(request.output), pytest.raises(ReconError, match="another command is working on"):
        run_benchmark(request, executor=InThisProcess(), write_tables=no_tables)


def test_damaged_results_are_told(tmp_path, undisturbed):
    with pytest.raises(ReconError, match=r"is not a benchmark folder: it has no results\.json"):
        read_records(tmp_path)
    records = read_records(undisturbed)
    write_records(tmp_path, reversed(records))
    assert read_records(tmp_path) == records, "sorted by key, whatever the order of finishing"
    for content, words in (("{}", "must hold a list"), ('[{"seed": 0}]', "without exactly the names")):
        (tmp_path / "results.json").write_text(content)
        with pytest.raises(ReconError, match=words):
            read_records(tmp_path)


@pytest.mark.skipif(os.name != "posix", reason="sends signals")
def test_ctrl_c_ends_the_program_with_all_its_processes(room, tmp_path):
    """The signal reaches every process, as it does from a keyboard; a checkpoint is left to go on from."""
    arguments = [
        *("benchmark", "custom", "--data", str(room), "-o", str(tmp_path / "bench"), "--methods", "splat"),
        *("--preset", "quick", "--device", "cpu"),
        *(
            "--set",
            "train.iterations=200000",
            "train.checkpoint_every=5",
            "initial.count=800",
            "stereo.planes=32",
        ),
    ]
    run = tmp_path / "bench/runs/room/room/5-views/splat-quick/seed-0"
    with subprocess.Popen(
        [sys.executable, "-m", "recon", *arguments],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        cwd=tmp_path,  # not the sources, which may have no kernels
        env={**os.environ, "PYTHONPATH": str(Path(recon.__file__).parents[1])},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background shell ignores it
    ) as process:
        deadline = time.monotonic() + 240
        while not any(run.glob("checkpoints/*")) and time.monotonic() < deadline:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=240)
    assert process.returncode == 130, said
    assert "the same command goes on" in said and "Traceback" not in said
    assert "Traceback" not in (run.parent / "seed-0.log").read_text()
    assert any(run.glob("checkpoints/*")) and not (run / "metrics.json").exists()
    written = {path: path.stat().st_mtime_ns for path in run.glob("checkpoints/*")}
    time.sleep(0.5)
    now = {path: path.stat().st_mtime_ns for path in run.glob("checkpoints/*")}
    assert now == written, "nothing goes on in the background"
    assert read_records(tmp_path / "bench") == []
