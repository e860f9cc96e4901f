"""What the tests' worker processes do in place of a reconstruction, or around one."""

import os
import signal
import time
from pathlib import Path

from recon.benchmark.task import RunTask, run_task
from recon.errors import ReconError


def note(task: RunTask, word: str) -> None:
    """Append a word to a file beside the run folder."""
    file = notes_file(task)
    file.parent.mkdir(parents=True, exist_ok=True)
    with open(file, "a") as stream:
        stream.write(f"{word}\n")


def notes(task: RunTask) -> list[str]:
    return notes_file(task).read_text().split() if notes_file(task).exists() else []


def notes_file(task: RunTask) -> Path:
    return task.options.output.with_suffix(".notes")


def note_process(task: RunTask) -> None:
    """Write down the process and its threads, and take a moment."""
    note(task, f"{os.getpid()}:{os.environ.get('OMP_NUM_THREADS')}")
    time.sleep(0.2)


def die_once(task: RunTask) -> None:
    """Seed 0 is killed at its first start; the others have nothing to fear."""
    note(task, "started")
    if task.options.seed == 0 and len(notes(task)) == 1:
        os.kill(os.getpid(), signal.SIGKILL)


def die_always(task: RunTask) -> None:
    note(task, "started")
    if task.options.seed == 0:
        os.kill(os.getpid(), signal.SIGKILL)


def fail_by_seed(task: RunTask) -> None:
    """Seed 0 tells what a user did wrong, seed 1 has a fault of its own."""
    note(task, "started")
    print("what the run says")
    if task.options.seed == 0:
        raise ReconError("the photos are of two different rooms")
    if task.options.seed == 1:
        raise ZeroDivisionError("no view left")


def wait_long(task: RunTask) -> None:
    note(task, str(os.getpid()))
    time.sleep(120)


def reconstruct_but_die_in_training(task: RunTask) -> None:
    """Reconstruct; seed 0 is killed in the middle of its first training, after a checkpoint."""
    from recon.train.trainer import Trainer

    note(task, "started")
    step = Trainer.step

    def fatal_step(self: Trainer):
        if self.iteration == 8 and task.options.seed == 0 and notes(task).count("started") == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        note(task, f"step-{self.iteration}")
        return step(self)

    Trainer.step = fatal_step
    run_task(task)


def make_up_results(task: RunTask) -> None:
    """Leave metrics that follow from the task alone; `splat` with seed 3 waits to be killed when it starts first."""
    note(task, str(os.getpid()))
    run = task.run
    run.path.mkdir(parents=True, exist_ok=True)
    if task.options.method == "splat" and task.options.seed == 3 and len(notes(task)) == 1:
        run.log("phase", name="half of it")
        time.sleep(120)
    psnr = 20.0 + task.options.seed / 7 + (task.options.method == "quality")
    values = {"psnr": psnr, "ssim": psnr / 40, "lpips": None}
    run.write_metrics(
        {
            "train": ["a.png"],
            "test": {**values, "per_image": {"b.png": values, "c.png": values}},
            "seconds": {"total": 3.5},
        }
    )
