"""What the Ray executor costs beside the local one, on the same runs in the same call.

    python benchmarks/ray_overhead.py --runs 12 --workers 3 --json FILE

First both executors make the runs, the bundled three photos at `quick` with one seed each, which must measure the same;
one of Ray's workers is killed meanwhile.
Then both are given the finished runs again, which return at once. The time of that is what an executor adds to every
run: start of a process, imports, and for Ray the start and the end of the runtime. It is told as a share of the mean
time that a run itself took (its metrics.json).
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

from hardware import header

from recon.benchmark.executors import open_executor
from recon.benchmark.task import RunTask
from recon.methods.options import ReconstructOptions

ROOT = Path(__file__).parent.parent
SAMPLE = ROOT / "data" / "sample" / "tabletop"
BAR = 0.05


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=12)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=3, help="of the empty pass; the fastest counts")
    parser.add_argument(
        "--set", nargs="*", default=[], help="settings of the method, such as train.iterations=300"
    )
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        results = {name: measure(name, Path(folder) / name, arguments) for name in ("local", "ray")}
    local, ray = results["local"], results["ray"]
    if local.pop("metrics") != ray.pop("metrics"):
        raise SystemExit("the executors' measurements differ")
    own = statistics.fmean([local["run_seconds"], ray["run_seconds"]])
    print(
        f"{arguments.runs} runs, {arguments.workers} at a time; measurements equal; a run itself takes {own:.1f} s"
    )
    print("| executor | all runs (s) | empty pass, per run (s) | share of a run | beyond local |")
    print("|---|---|---|---|---|")
    for name, result in results.items():
        per_run = result["empty_seconds_per_run"]
        beyond = (per_run - local["empty_seconds_per_run"]) / own
        result.update(share=per_run / own, beyond_local=beyond)
        print(f"| {name} | {result['seconds']:.1f} | {per_run:.2f} | {per_run / own:.1%} | {beyond:+.1%} |")
    print(f"bar: Ray adds at most {BAR:.0%} of run time: {'met' if ray['beyond_local'] <= BAR else 'MISSED'}")
    if arguments.json:
        content = {"header": header().splitlines(), "run_seconds": own, **results}
        arguments.json.write_text(json.dumps(content, indent=2) + "\n")


def measure(name: str, folder: Path, arguments: argparse.Namespace) -> dict:
    """Make the runs with an executor, then time it on the finished ones."""
    tasks = [task(folder, seed, arguments.set) for seed in range(arguments.runs)]
    killer = threading.Thread(target=kill_a_worker, args=(tasks,), daemon=True)
    if name == "ray":
        killer.start()
    seconds = timed(name, tasks, arguments.workers)
    if killer.ident is not None and killer.is_alive():
        raise SystemExit("no worker was killed")
    metrics = [one.run.read_metrics() for one in tasks]
    empty = min(timed(name, tasks, arguments.workers) for _ in range(arguments.repeats))
    return {
        "seconds": seconds,
        "run_seconds": statistics.fmean(one["seconds"]["total"] for one in metrics),
        # Several run at a time, so each has that many times its part of the pass.
        "empty_seconds_per_run": empty / len(tasks) * arguments.workers,
        "metrics": [one["test"] for one in metrics],
    }


def kill_a_worker(tasks: list[RunTask]) -> None:
    """Wait until a run of these has come to its training, and kill the process that makes it."""
    while True:
        for one in tasks:
            log = one.run.log_file
            if log.is_file() and '"step"' in log.read_text() and not one.finished:
                for process in Path("/proc").glob("[0-9]*"):
                    with suppress(OSError):
                        if (process / "cmdline").read_bytes().startswith(b"ray::" + one.label.encode()):
                            os.kill(int(process.name), signal.SIGKILL)
                            print(f"killed the worker of {one.label}", file=sys.stderr)
                            return
        time.sleep(0.5)


def timed(name: str, tasks: list[RunTask], workers: int) -> float:
    def finished(task: RunTask, error: str | None) -> None:
        if error is not None:
            raise SystemExit(f"{task.label}: {error}")

    started = time.perf_counter()
    open_executor(name, workers).run(tasks, finished)
    return time.perf_counter() - started


def task(folder: Path, seed: int, settings: list[str]) -> RunTask:
    options = ReconstructOptions(
        SAMPLE,
        folder / f"seed-{seed}",
        method="quality",
        preset="quick",
        split=SAMPLE / "split.json",
        device="cpu",
        seed=seed,
        settings=tuple(settings),
    )
    return RunTask("custom", "sample", "tabletop", 3, options)


if __name__ == "__main__":
    main()
