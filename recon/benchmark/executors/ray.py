"""Run tasks on a Ray cluster: one that exists already, or one of this machine that ends with the benchmark.

`RAY_ADDRESS` names an existing cluster. Its machines must have recon installed and see the data and the benchmark
folder under the same paths: results come back as run folders on that shared disk, never through Ray.
"""

from __future__ import annotations

import os
import secrets
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import recon
from recon.benchmark.executors import RETRIES, Finished
from recon.benchmark.executors.local import Work, output_file, perform
from recon.benchmark.executors.room import CORES_PER_RUN, cores, worker_count
from recon.benchmark.task import RunTask, run_task
from recon.errors import ReconError

OBJECT_STORE_BYTES = 80 << 20
"""Shared memory of a local runtime; tasks and answers take kilobytes, and Ray accepts no less than 75 MiB."""

SECONDS_TO_APPEAR = 30.0
"""How long the files of another machine may take to be seen here: network disks keep listings for a while."""


@dataclass(frozen=True)
class _Room:
    """How many tasks run at a time, and what each is given.

    Attributes:
        shared: whether tasks run on other machines too, so that their files come over a shared disk.
    """

    at_a_time: int
    threads: int
    gpus: float
    shared: bool


class RayExecutor:
    """Runs tasks as Ray tasks, each in a fresh worker process; one whose worker or machine dies is started again.

    What a run prints goes to a file beside its run folder, as with the local executor.
    """

    def __init__(
        self, workers: int | None = None, work: Work = run_task, *, address: str | None = None
    ) -> None:
        """Take note of where to run.

        Args:
            workers: tasks at the same time; None for as many as there is room for.
            work: what is done with a task.
            address: of an existing cluster, as `ray.init` takes it; RAY_ADDRESS by default, and without that a
                runtime of this machine.
        """
        self._workers = workers
        self._work = work
        self._address = address or os.environ.get("RAY_ADDRESS")

    def run(self, tasks: Sequence[RunTask], finished: Finished) -> None:
        """See `Executor.run`. When the caller is interrupted, the tasks end before the exception leaves.

        Raises:
            ReconError: when Ray is not installed, or the cluster cannot be reached.
        """
        if not tasks:
            return
        ray = import_ray(self._address is None)
        with self._connected(ray, tasks) as room:
            waiting = deque((task, 1) for task in tasks)
            running: dict[Any, tuple[RunTask, int]] = {}
            try:
                while waiting or running:
                    while waiting and len(running) < room.at_a_time:
                        task, attempt = waiting.popleft()
                        running[self._start(ray, task, room)] = task, attempt
                    ended, _ = ray.wait(list(running), num_returns=1)
                    for reference in ended:
                        task, attempt = running.pop(reference)
                        died, sentence = _outcome(ray, reference, task, attempt, room)
                        if died and attempt <= RETRIES:
                            waiting.append((task, attempt + 1))
                        else:
                            finished(task, sentence)
            finally:
                for reference in running:
                    ray.cancel(reference, force=True)

    def _start(self, ray: ModuleType, task: RunTask, room: _Room) -> Any:
        # One call per process: a run's peak memory and its threads are then its own. Ray itself does not try again,
        # because it would without end where memory runs out.
        remote = ray.remote(max_calls=1, max_retries=0)(perform)
        gpus = 0 if task.options.device == "cpu" else room.gpus
        return remote.options(num_cpus=room.threads, num_gpus=gpus, name=task.label).remote(
            self._work, task, room.threads
        )

    @contextmanager
    def _connected(self, ray: ModuleType, tasks: Sequence[RunTask]) -> Iterator[_Room]:
        """Connect to the cluster, or start a runtime here and end it with the block."""
        if ray.is_initialized():
            yield self._room_of_cluster(ray, len(tasks))
            return
        quiet = {"log_to_driver": False, "logging_level": "ERROR"}
        try:
            if self._address is not None:
                with same_imports():
                    ray.init(address=self._address, **quiet)
                yield self._room_of_cluster(ray, len(tasks))
            else:
                workers = min(self._workers or worker_count(tasks), len(tasks))
                # Logical cores: several runs may share one, as the caller asked.
                threads = max(1, cores() // workers)
                with same_imports():
                    ray.init(
                        address="local",
                        num_cpus=workers * threads,
                        object_store_memory=OBJECT_STORE_BYTES,
                        include_dashboard=False,
                        **quiet,
                    )
                gpus = min(1.0, ray.cluster_resources().get("GPU", 0.0) / workers)
                yield _Room(workers, threads, gpus, shared=False)
        except ConnectionError as error:
            raise ReconError(
                f"there is no Ray cluster at {self._address}: {error}; start one with `ray start`, or unset RAY_ADDRESS"
            ) from error
        finally:
            ray.shutdown()

    def _room_of_cluster(self, ray: ModuleType, count: int) -> _Room:
        """Give each run the cores that it can use, as far as the largest machine has them."""
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        largest = max((int(node.get("CPU", 0)) for node in nodes), default=0)
        if largest < 1:
            raise ReconError("the Ray cluster has no machine with a CPU to give: add one with `ray start`")
        has_gpu = any(node.get("GPU", 0) >= 1 for node in nodes)
        return _Room(self._workers or count, min(CORES_PER_RUN, largest), float(has_gpu), shared=True)


def import_ray(local: bool) -> ModuleType:
    """Import Ray, which must find its settings in the environment.

    Args:
        local: whether the runtime will be started here. It listens on the network, and whoever reaches it can run code:
            so it answers only to those who know a token made for this process.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    # Ray's workers step back behind every other process, 15 nice levels; a benchmark is what the machine is for.
    os.environ.setdefault("RAY_worker_niceness", "0")
    if local and "RAY_AUTH_MODE" not in os.environ:
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    try:
        import ray
    except ImportError:
        raise ReconError(
            "--executor ray needs Ray, which is not installed: pip install 'recon[ray]', or use --executor local"
        ) from None
    return ray


@contextmanager
def same_imports() -> Iterator[None]:
    """Let what is started meanwhile import what this process can, wherever that came from.

    Ray puts the working folder before all that its workers import, and there may lie recon's sources without its
    kernels: so this process goes where its own recon lies, and comes back.
    """
    path, folder = os.environ.get("PYTHONPATH"), Path.cwd()
    os.environ["PYTHONPATH"] = os.pathsep.join(entry or str(folder) for entry in sys.path)
    os.chdir(Path(recon.__file__).parents[1])
    try:
        yield
    finally:
        os.chdir(folder)
        if path is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = path


def _outcome(
    ray: ModuleType, reference: Any, task: RunTask, attempt: int, room: _Room
) -> tuple[bool, str | None]:
    """Return whether a task's process died without an answer, and what to say of the task: None when it is done."""
    deaths = (
        ray.exceptions.WorkerCrashedError,
        ray.exceptions.NodeDiedError,
        ray.exceptions.OutOfMemoryError,
        ray.exceptions.ObjectLostError,
    )
    try:
        sentence = ray.get(reference)
    except deaths as error:
        again = f", {attempt} times in a row" if attempt > 1 else ""
        reason = str(error).strip().partition("\n")[0]
        return True, f"its process died{again} ({reason}); what it printed is in {output_file(task)}"
    except ray.exceptions.RayError as error:
        reason = str(error).strip().rpartition("\n")[2]
        return False, f"Ray could not run it: {reason}; is this version of recon installed on every machine?"
    if sentence is None and room.shared and not _appears(task):
        sentence = (
            f"it is done, but {task.options.output} is not to be seen here: give a benchmark folder with -o that all "
            "machines of the cluster share"
        )
    return False, sentence


def _appears(task: RunTask) -> bool:
    end = time.monotonic() + SECONDS_TO_APPEAR
    while not task.options.output.exists():
        if time.monotonic() > end:
            return False
        time.sleep(0.5)
    return True
