"""Run tasks in processes of this machine, each in a fresh one."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path

from recon.benchmark.executors import RETRIES, Finished
from recon.benchmark.executors.room import cores, worker_count
from recon.benchmark.task import RunTask, run_task
from recon.errors import ReconError

SECONDS_TO_END = 5.0
"""How long a process that was told to end may take before it is killed."""

Work = Callable[[RunTask], None]


@dataclass
class _Running:
    task: RunTask
    attempt: int
    process: SpawnProcess
    outcome: Connection


class LocalExecutor:
    """Runs tasks in spawned processes, several at the same time where cores and memory allow.

    Each task has a process of its own: nothing of one run reaches another, its peak memory is its own, and the end of
    one, however violent, leaves the others alone. What a run prints goes to a file beside its run folder.
    """

    def __init__(self, workers: int | None = None, work: Work = run_task) -> None:
        self._workers = workers
        self._work = work

    def run(self, tasks: Sequence[RunTask], finished: Finished) -> None:
        """See `Executor.run`. When the caller is interrupted, the processes end before the exception leaves."""
        if not tasks:
            return
        workers = self._workers or worker_count(tasks)
        # A run alone may use whatever its user allows; several share the cores.
        threads = None if workers == 1 else max(1, cores() // workers)
        waiting = deque((task, 1) for task in tasks)
        running: list[_Running] = []
        try:
            while waiting or running:
                while waiting and len(running) < workers:
                    running.append(self._start(*waiting.popleft(), threads))
                ended = wait([one.process.sentinel for one in running])
                for one in [one for one in running if one.process.sentinel in ended]:
                    running.remove(one)
                    died, sentence = _outcome(one)
                    if died and one.attempt <= RETRIES:
                        waiting.append((one.task, one.attempt + 1))
                    else:
                        finished(one.task, sentence)
        finally:
            _end(running)

    def _start(self, task: RunTask, attempt: int, threads: int | None) -> _Running:
        context = multiprocessing.get_context("spawn")
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=_main, args=(self._work, task, sender, threads), name=task.label)
        with _deaf_to_interrupts():
            process.start()
        sender.close()
        return _Running(task, attempt, process, receiver)


def output_file(task: RunTask) -> Path:
    """Return the file that takes what a run prints: `seed-0.log` beside the run folder `seed-0`."""
    folder = task.options.output
    return folder.parent / f"{folder.name}.log"


def _outcome(one: _Running) -> tuple[bool, str | None]:
    """Return whether a process died without an answer, and what to say of its task: None when it is done."""
    one.process.join()
    try:
        if one.outcome.poll():
            return False, one.outcome.recv()
    except EOFError:
        pass
    finally:
        one.outcome.close()
    return True, _death(one)


def _death(one: _Running) -> str:
    code = one.process.exitcode or 0
    how = f"was killed by signal {-code}" if code < 0 else f"ended with status {code}"
    again = f", {one.attempt} times in a row" if one.attempt > 1 else ""
    return f"its process {how}{again}; what it printed is in {output_file(one.task)}"


def _end(running: Sequence[_Running]) -> None:
    for one in running:
        one.process.terminate()
    for one in running:
        one.process.join(SECONDS_TO_END)
        if one.process.is_alive():
            one.process.kill()
            one.process.join()


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Start processes that Ctrl-C does not reach: the one that started them ends them in order.

    The signal mask is inherited; an interrupt that comes meanwhile arrives when the block ends.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def perform(work: Work, task: RunTask, threads: int | None) -> str | None:
    """Do the work in this process, which is the task's own; return a sentence, or None when all is well.

    What is printed goes to the task's output file from here on.
    """
    output = output_file(task)
    _print_to(output)
    if threads is not None:
        _limit_threads(threads)
    try:
        work(task)
    except ReconError as error:
        return str(error)
    except Exception as error:
        traceback.print_exc()
        return f"{type(error).__name__}: {error}; the trace is in {output}"
    return None


def _main(work: Work, task: RunTask, outcome: Connection, threads: int | None) -> None:
    """Run in the new process: do the work, and answer."""
    _end_with_parent()
    outcome.send(perform(work, task, threads))
    outcome.close()


def _end_with_parent() -> None:
    """End this process when the one that started it is gone, so that no orphan writes to the run folder."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _print_to(file: Path) -> None:
    """Send all that this process prints, native code included, to the end of a file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with open(file, "a", encoding="utf-8") as stream:
        for standard in (sys.stdout, sys.stderr):
            standard.flush()
            os.dup2(stream.fileno(), standard.fileno())


def _limit_threads(count: int) -> None:
    """Give every library this many threads at most; before torch is imported, since its pool is sized once."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        asked = os.environ.get(name, "")
        os.environ[name] = str(min(count, int(asked)) if asked.isdecimal() and int(asked) > 0 else count)
    import cv2

    cv2.setNumThreads(count)
