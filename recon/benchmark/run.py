"""`recon benchmark PROTOCOL`: plan the runs, make them, collect their results."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from recon.benchmark.executors import Executor, open_executor
from recon.benchmark.folder import FAILURES_FILE, write_failures, write_request
from recon.benchmark.plan import plan, sentences
from recon.benchmark.progress import shown_runs
from recon.benchmark.protocols import load_benchmark
from recon.benchmark.record import RESULTS_FILE, Record, read_records, record_of, write_records
from recon.benchmark.request import Request
from recon.benchmark.task import RunTask
from recon.errors import ReconError
from recon.files import locked
from recon.methods.options import read_settings, refuse_changes
from recon.run_folder import RunFolder

WriteTables = Callable[[Path], "list[Path]"]


def run_benchmark(
    request: Request, *, executor: Executor | None = None, write_tables: WriteTables | None = None
) -> list[Record]:
    """Make every run that a request asks for and that is not there yet, and write results and tables.

    `results.json` is rewritten after every run, so that an interruption loses nothing; the same call made again makes
    what is missing.

    Args:
        executor: who runs the tasks; the one that the request names by default.
        write_tables: writes the tables of a benchmark folder and returns their paths.

    Returns:
        The records of the whole folder, also of earlier calls.

    Raises:
        ReconError: when the request is wrong, and at the end when runs failed; the others' results are written then.
    """
    benchmark = load_benchmark(request.protocol)
    planned = plan(request, benchmark)
    folder = request.output.absolute()
    with locked(folder):
        write_request(request, planned, benchmark.rules.source)
        for sentence in sentences(planned.left_out):
            say(f"left out: {sentence}")
        results = _Results(folder, planned.tasks)
        todo = results.missing
        say(
            f"{len(planned.tasks)} runs in {folder}, {len(planned.tasks) - len(todo)} of them finished already"
        )
        with shown_runs(len(todo)) as show:

            def finished(task: RunTask, error: str | None) -> None:
                results.add(task, error)
                show(task, results.records.get(task.key), error)

            if todo:
                (executor or open_executor(request.executor, request.workers)).run(todo, finished)
        results.write()
        for path in (write_tables or _write_tables)(folder):
            say(f"wrote {path}")
    if results.failures:
        names = "; ".join(task.label for task in results.failures)
        raise ReconError(
            f"{len(results.failures)} of {len(planned.tasks)} runs failed ({names}): {folder / FAILURES_FILE} says "
            "why, and the same command tries them again"
        )
    return sorted(results.records.values(), key=lambda record: record.key)


def say(text: str) -> None:
    """Tell the person at the keyboard how far things are."""
    print(text, file=sys.stderr, flush=True)


class _Results:
    """What is known of the runs of a benchmark folder: this call's, and those of earlier ones."""

    def __init__(self, folder: Path, tasks: tuple[RunTask, ...]) -> None:
        self.folder = folder
        self.failures: dict[RunTask, str] = {}
        self.records: dict[tuple, Record] = {}
        if (folder / RESULTS_FILE).is_file():
            for record in read_records(folder):
                run = RunFolder(folder / record.run)
                if run.metrics_file.is_file():  # read again: `recon evaluate` may have measured anew
                    self.records[record.key] = replace(record, metrics=run.read_metrics())
        self.missing = [task for task in tasks if not task.finished]
        for task in tasks:
            if task.finished:
                self._adopt(task)
        self.write()

    def add(self, task: RunTask, error: str | None) -> None:
        """Take note of a run that is over, on disk too."""
        if error is None:
            self.records[task.key] = record_of(task, self.folder)
        else:
            self.failures[task] = error
        self.write()

    def write(self) -> None:
        write_records(self.folder, self.records.values())
        write_failures(self.folder, self.failures)

    def _adopt(self, task: RunTask) -> None:
        """Take a run that is finished already, unless it was made with other settings."""
        refuse_changes(task.options, read_settings(task.run))
        self.records[task.key] = record_of(task, self.folder)


def _write_tables(folder: Path) -> list[Path]:
    from recon.benchmark.tables import write_tables

    return write_tables(folder)
