"""Rendering scenes in several processes, each with its share of the cores."""

import multiprocessing
import signal
from collections.abc import Callable, Sequence
from queue import Empty
from typing import Any, TypeVar

from recon.errors import ReconError

Job = TypeVar("Job")
Tell = Callable[[str], None]

_LOOK = 0.5  # seconds between two looks at whether all processes are alive


def run_in_processes(
    work: Callable[[Job, Tell], int], jobs: Sequence[Job], workers: int, threads: int, tell: Tell
) -> int:
    """Do every job once and return the sum of what they return.

    Args:
        work: a module's function; it is given a job and what to call with the name of every picture that is there.
        threads: of the renderer in each process.
        tell: called in this process with what the jobs tell.

    Raises:
        ReconError: from a job, or when a process dies (of too little memory, say). What is finished stays.
    """
    context = multiprocessing.get_context("spawn")  # a forked renderer would miss its threads
    todo, told = context.Queue(), context.Queue()
    for job in [*jobs, *[None] * workers]:
        todo.put(job)
    processes = [
        context.Process(target=_serve, args=(work, todo, told, threads), daemon=True) for _ in range(workers)
    ]
    total, unfinished = 0, len(jobs)
    try:
        for process in processes:
            process.start()
        while unfinished:
            try:
                kind, content = told.get(timeout=_LOOK)
            except Empty:
                _check_alive(processes)
                continue
            if kind == "picture":
                tell(content)
            elif kind == "failed":
                raise ReconError(content)
            else:
                total, unfinished = total + content, unfinished - 1
        for process in processes:
            process.join()
    finally:
        for process in processes:
            if process.is_alive():
                process.terminate()
    return total


def _check_alive(processes: Sequence[Any]) -> None:
    if any(process.exitcode not in (None, 0) for process in processes):
        raise ReconError(
            "a rendering process ended before its time, perhaps for want of memory; repeat the call to continue, "
            "with fewer workers if it happens again"
        )


def _serve(work: Callable[[Any, Tell], int], todo: Any, told: Any, threads: int) -> None:
    """Do jobs until there are none; an interrupt ends the process at once and silently."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        _limit_threads(threads)
        while (job := todo.get()) is not None:
            told.put(("done", work(job, lambda name: told.put(("picture", name)))))
    except ReconError as error:
        told.put(("failed", str(error)))


def _limit_threads(threads: int) -> None:
    try:
        import drjit
    except ImportError:  # comes with mitsuba, whose absence is told where it is needed
        return
    drjit.set_thread_count(threads)
