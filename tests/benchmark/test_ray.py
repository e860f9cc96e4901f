"""The Ray executor on real runtimes of this machine."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import worker_tasks

from recon.benchmark.executors import open_executor
from recon.benchmark.executors.local import LocalExecutor, output_file
from recon.benchmark.executors.ray import OBJECT_STORE_BYTES, RayExecutor, import_ray, same_imports
from recon.benchmark.run import run_benchmark
from recon.benchmark.task import RunTask
from recon.errors import ReconError
from recon.methods.options import ReconstructOptions

WRITTEN = ("results.json", "table.md", "table.csv", "table.tex", "index.html")


@pytest.fixture(scope="module")
def cluster():
    """A runtime that exists before the executor, as a cluster does."""
    ray = import_ray(local=True)
    with same_imports():
        ray.init(
            address="local",
            num_cpus=2,
            object_store_memory=OBJECT_STORE_BYTES,
            include_dashboard=False,
            log_to_driver=False,
        )
    yield ray
    ray.shutdown()


def tasks(folder: Path, count: int) -> list[RunTask]:
    return [
        RunTask("custom", "rooms", "a", 3, ReconstructOptions(folder, folder / f"seed-{seed}", seed=seed))
        for seed in range(count)
    ]


def run(executor, todo: list[RunTask]) -> dict[int, str | None]:
    said: dict[int, str | None] = {}

    def finished(task: RunTask, error: str | None) -> None:
        assert task.options.seed not in said
        said[task.options.seed] = error

    executor.run(todo, finished)
    return said


@pytest.mark.slow
def test_twelve_runs_on_three_workers_are_complete_and_identical_when_one_is_killed(request_room, tmp_path):
    request = request_room(methods=("splat", "quality"), seeds=6, output=tmp_path / "ray")
    killed = []

    def kill() -> None:
        victim = next(iter((tmp_path / "ray").rglob("splat-quick/seed-3.notes")), None)
        while victim is None or not victim.read_text().strip():
            time.sleep(0.05)
            victim = next(iter((tmp_path / "ray").rglob("splat-quick/seed-3.notes")), None)
        killed.append(int(victim.read_text().split()[0]))
        os.kill(killed[0], signal.SIGKILL)

    threading.Thread(target=kill, daemon=True).start()
    records = run_benchmark(request, executor=RayExecutor(3, worker_tasks.make_up_results))
    assert len(killed) == 1 and len(records) == 12
    attempts = {path: path.read_text().split() for path in (tmp_path / "ray").rglob("*.notes")}
    assert sorted(map(len, attempts.values())) == [1] * 11 + [2]
    assert len({pid for pids in attempts.values() for pid in pids}) == 13, "a process for every attempt"

    # Locally nobody kills, so the run that waits for it must be known as started already.
    local = request_room(methods=("splat", "quality"), seeds=6, output=tmp_path / "local")
    victim = next(path for path, pids in attempts.items() if len(pids) == 2)
    same = tmp_path / "local" / victim.relative_to(tmp_path / "ray")

    def work_started_before(executor: LocalExecutor, todo, finished):
        same.parent.mkdir(parents=True)
        same.write_text("before\n")
        executor.run(todo, finished)

    class Started:
        def run(self, todo, finished):
            work_started_before(LocalExecutor(3, worker_tasks.make_up_results), todo, finished)

    run_benchmark(local, executor=Started())
    for name in WRITTEN:
        assert (tmp_path / "ray" / name).read_text() == (tmp_path / "local" / name).read_text(), name
    assert not (tmp_path / "ray" / "failures.json").exists()
    assert "incomplete" not in (tmp_path / "ray" / "table.md").read_text()


@pytest.mark.slow
def test_reconstructions_are_those_of_the_local_executor(request_room, tmp_path):
    """Real ones: the second is killed in the middle of its training, and goes on from its checkpoint."""
    measured = []
    for name, executor in (
        ("ray", RayExecutor(2, worker_tasks.reconstruct_but_die_in_training)),
        ("local", LocalExecutor(2)),
    ):
        request = request_room(
            output=tmp_path / name, settings=(*request_room().settings, "train.checkpoint_every=4")
        )
        measured.append([record.metrics["test"] for record in run_benchmark(request, executor=executor)])
    assert measured[0] == measured[1]
    assert len(list((tmp_path / "ray").rglob("*.log"))) == 2, "what a run prints stands beside its folder"


@pytest.mark.slow
def test_a_task_that_always_dies_is_given_up_after_two_more_tries(cluster, tmp_path):
    todo = tasks(tmp_path, 2)
    said = run(RayExecutor(1, worker_tasks.die_always), todo)
    assert said[0] is not None and "its process died, 3 times in a row" in said[0]
    assert str(output_file(todo[0])) in said[0]
    assert [len(worker_tasks.notes(task)) for task in todo] == [3, 1]


def test_an_error_is_told_and_not_tried_again(cluster, tmp_path):
    todo = tasks(tmp_path, 3)
    for task in todo:
        task.options.output.mkdir()
    said = run(RayExecutor(1, worker_tasks.fail_by_seed), todo)
    assert said[0] == "the photos are of two different rooms" and said[2] is None
    assert said[1] is not None and said[1].startswith("ZeroDivisionError: no view left; the trace is in ")
    assert [len(worker_tasks.notes(task)) for task in todo] == [1, 1, 1]
    assert "what the run says" in output_file(todo[1]).read_text()


def test_results_that_are_not_on_a_shared_disk_are_told(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr("recon.benchmark.executors.ray.SECONDS_TO_APPEAR", 0.1)
    said = run(RayExecutor(1, worker_tasks.note_process), tasks(tmp_path, 1))
    assert said[0] is not None and "that all machines of the cluster share" in said[0]


def test_a_cluster_is_found_by_its_address(cluster, tmp_path):
    """From another process: an address is not asked for where this one is connected already."""
    script = tmp_path / "driver.py"
    script.write_text(
        "from pathlib import Path\n"
        "import sys\n"
        f"sys.path[:0] = {sys.path!r}\n"
        "import worker_tasks\n"
        "from test_ray import run, tasks\n"
        "from recon.benchmark.executors import open_executor\n"
        "executor = open_executor('ray')\n"
        "executor._work = worker_tasks.make_up_results\n"
        f"print(sorted(run(executor, tasks(Path({str(tmp_path)!r}), 3)).items()))\n"
    )
    address = cluster.get_runtime_context().gcs_address
    result = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, "RAY_ADDRESS": address},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert result.stdout.strip() == "[(0, None), (1, None), (2, None)]", result.stderr[-2000:]
    assert json.loads((tmp_path / "seed-2" / "metrics.json").read_text())["test"]["psnr"] > 20


def test_without_ray_the_remedy_is_told(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ReconError, match=r"pip install 'recon\[ray\]'"):
        open_executor("ray", 2).run(tasks(tmp_path, 1), lambda task, error: None)
