"""The pool of processes: what it runs, how it takes deaths, and how it ends."""

import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path

import pytest
import worker_tasks

from recon.benchmark.executors import EXECUTORS, open_executor
from recon.benchmark.executors.local import LocalExecutor, output_file
from recon.benchmark.executors.room import cores, run_memory, worker_count
from recon.benchmark.task import RunTask
from recon.errors import ReconError
from recon.methods.options import ReconstructOptions


def tasks(folder: Path, count: int) -> list[RunTask]:
    return [
        RunTask("custom", "rooms", "a", 3, ReconstructOptions(folder, folder / f"seed-{seed}", seed=seed))
        for seed in range(count)
    ]


def run(executor: LocalExecutor, todo: list[RunTask]) -> dict[int, str | None]:
    """Run tasks and return what was said of each seed; each is told of once."""
    said: dict[int, str | None] = {}

    def finished(task: RunTask, error: str | None) -> None:
        assert task.options.seed not in said
        said[task.options.seed] = error

    executor.run(todo, finished)
    return said


def test_every_task_has_a_process_of_its_own_and_its_share_of_the_cores(tmp_path):
    todo = tasks(tmp_path, 3)
    assert run(LocalExecutor(2, worker_tasks.note_process), todo) == {0: None, 1: None, 2: None}
    processes, threads = zip(*(worker_tasks.notes(task)[0].split(":") for task in todo), strict=True)
    assert len({*processes, str(os.getpid())}) == 4
    assert {int(count) for count in threads} == {
        max(1, min(cores() // 2, int(os.environ.get("OMP_NUM_THREADS", 64))))
    }


def test_a_task_whose_process_is_killed_is_tried_again_and_the_others_go_on(tmp_path):
    todo = tasks(tmp_path, 3)
    assert run(LocalExecutor(2, worker_tasks.die_once), todo) == {0: None, 1: None, 2: None}
    assert [len(worker_tasks.notes(task)) for task in todo] == [2, 1, 1]


def test_a_task_that_always_dies_is_given_up_after_two_more_tries(tmp_path):
    todo = tasks(tmp_path, 2)
    said = run(LocalExecutor(1, worker_tasks.die_always), todo)
    assert said[1] is None
    assert said[0] is not None and "was killed by signal 9, 3 times in a row" in said[0]
    assert str(output_file(todo[0])) in said[0]
    assert [len(worker_tasks.notes(task)) for task in todo] == [3, 1]


def test_an_error_is_told_and_not_tried_again(tmp_path):
    todo = tasks(tmp_path, 3)
    said = run(LocalExecutor(1, worker_tasks.fail_by_seed), todo)
    assert said[0] == "the photos are of two different rooms" and said[2] is None
    assert said[1] is not None and said[1].startswith("ZeroDivisionError: no view left; the trace is in ")
    assert [len(worker_tasks.notes(task)) for task in todo] == [1, 1, 1]
    printed = [output_file(task).read_text() for task in todo]
    assert all("what the run says" in text for text in printed)
    assert "Traceback" in printed[1] and "Traceback" not in printed[0]


@pytest.mark.skipif(os.name != "posix", reason="sends signals")
def test_ctrl_c_ends_the_processes_before_it_is_passed_on(tmp_path, request):
    # A background shell starts tests deaf to interrupts.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    todo = tasks(tmp_path, 3)

    def interrupt() -> None:
        while not all(worker_tasks.notes(task) for task in todo[:2]):
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        run(LocalExecutor(2, worker_tasks.wait_long), todo)
    assert not multiprocessing.active_children()
    for task in todo[:2]:
        with pytest.raises(ProcessLookupError):
            os.kill(int(worker_tasks.notes(task)[0]), 0)
    assert not worker_tasks.notes(todo[2]), "nothing new was started"


def test_a_small_machine_makes_one_run_at_a_time(tmp_path, monkeypatch):
    todo = tasks(tmp_path, 8)
    room = "recon.benchmark.executors.room"
    monkeypatch.setattr(f"{room}.cores", lambda: 2)
    assert worker_count(todo) == 1
    monkeypatch.setattr(f"{room}.cores", lambda: 16)
    monkeypatch.setattr(f"{room}.run_memory", lambda task: 2_000_000_000)
    monkeypatch.setattr("recon.train.memory.available_memory", lambda: 64_000_000_000)
    assert worker_count(todo) == 4
    assert worker_count(todo[:3]) == 3
    monkeypatch.setattr("recon.train.memory.available_memory", lambda: 6_000_000_000)
    assert worker_count(todo) == 2
    monkeypatch.setattr("recon.train.memory.available_memory", lambda: 1_000_000_000)
    assert worker_count(todo) == 1
    monkeypatch.setattr("recon.methods.options.choose_device", lambda wanted: "cuda")
    assert worker_count(todo) == 1


def test_memory_follows_pictures_and_gaussians(room):
    def needed(**changes) -> int:
        options = ReconstructOptions(room, room, split=room / "split.json", **changes)
        return run_memory(RunTask("custom", "rooms", "room", 5, options))

    assert needed(preset="full") > needed(preset="standard") > needed(settings=("initial.count=10",))
    few, many = (needed(settings=(f"density.max_gaussians={count}",)) for count in (1000, 2_001_000))
    assert 2_000_000 * 500 < many - few < 2_000_000 * 5000
    coarse, fine, finer = (
        needed(method="coherent", settings=(f"geometry.stride={stride}", f"multisampling.highest={highest}"))
        for stride, highest in ((4, 1), (1, 1), (1, 4))
    )
    assert coarse < fine < finer, "networks at full size, and renderings finer than the photos, take more"
    nowhere = RunTask("custom", "rooms", "none", 5, ReconstructOptions(room / "nothing", room))
    assert run_memory(nowhere) > 0


def test_executors_are_opened_by_name():
    assert isinstance(open_executor("local", 3), LocalExecutor)
    assert set(EXECUTORS) == {"local", "ray"}
    with pytest.raises(ReconError, match="there is no executor 'cloud'; there are local, ray"):
        open_executor("cloud")
