"""From a benchmark's split to a zip: train every scene, render its test views, write, check."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from recon import __version__
from recon.benchmark.executors import open_executor
from recon.benchmark.task import RunTask
from recon.errors import ReconError
from recon.files import read_json, write_json
from recon.methods.options import ReconstructOptions, resolve
from recon.run_folder import RunFolder
from recon.submission.check import check_submission
from recon.submission.faults import Verdict
from recon.submission.render import render_scene
from recon.submission.spare import HALVES, Asked, asked, lacking_inputs
from recon.submission.write import RenderedScene, readme_text, write_submission


@dataclass(frozen=True)
class SubmitOptions:
    """The command line of `recon submit spare`; see recon/cli/submit.py for what each means."""

    data: Path
    output: Path
    track: Literal[1, 2]
    split: Literal["development", "test"]
    method: str = "quality"
    preset: str = "standard"
    scenes: tuple[str, ...] = ()
    seed: int = 0
    extra_data: str = ""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    settings: tuple[str, ...] = ()
    executor: Literal["local", "ray"] = "local"
    workers: int | None = None

    @property
    def work_folder(self) -> Path:
        """Where the runs are kept, so that the command goes on where it stopped."""
        return self.output.absolute().with_suffix(".runs")


def submit_spare(options: SubmitOptions, say: Callable[[str], None]) -> Verdict:
    """Make a submission to SpaRe; what an earlier, interrupted call has finished is kept.

    Args:
        say: is told how far it is.

    Returns:
        What the check says of the zip.

    Raises:
        ReconError: when scenes lack inputs or calibration, a reconstruction fails, or the zip cannot be written.
    """
    if options.output.suffix.lower() != ".zip":
        raise ReconError(f"-o {options.output}: give the zip's name, such as {options.output.name}.zip")
    if options.output.is_dir():
        raise ReconError(f"{options.output} is a folder: give another name for the zip")
    wanted = _with_inputs(asked(options.data, options.track, options.split, options.scenes), say)
    tasks = {name: _task(options, wanted, name) for name in wanted.scenes}
    for task in tasks.values():
        resolve(task.options)  # a wrong method, preset or setting shows before any work is done
    _claim(options, wanted)
    _train(list(tasks.values()), options, say)
    rendered = []
    for name, task in tasks.items():
        say(f"rendering {name}")
        rendered.append(
            render_scene(wanted.scenes[name], resolve(task.options), RunFolder.open(task.options.output))
        )
    write_submission(options.output, rendered, _readme(options, wanted, rendered))
    say(f"wrote {options.output}; checking it")
    return check_submission(options.output, wanted)


def _with_inputs(wanted: Asked, say: Callable[[str], None]) -> Asked:
    """Leave out a half of which nothing is there; insist on all scenes of a half that is there."""
    lacking = lacking_inputs(wanted)
    if wanted.chosen and lacking:
        raise ReconError(
            "scenes that were chosen cannot be reconstructed:\n" + "\n".join(_reasons(wanted, lacking))
        )
    scenes = dict(wanted.scenes)
    for half in HALVES:
        of_half = [scene.name for scene in wanted.of_half(half)]
        absent = [name for name in of_half if name in lacking]
        if not absent:
            continue
        if len(absent) < len(of_half):
            present = [name for name in of_half if name not in lacking]
            raise ReconError(
                f"{len(absent)} of the {len(of_half)} scenes of the {half} half cannot be reconstructed; get their "
                f"files, or choose the others with --scenes {' '.join(present)}:\n"
                + "\n".join(_reasons(wanted, {name: lacking[name] for name in absent}))
            )
        say(f"the {half} half is left out, none of its {len(absent)} scenes can be reconstructed:")
        for line in _reasons(wanted, {name: lacking[name] for name in absent}):
            say(line)
        scenes = {name: scene for name, scene in scenes.items() if scene.half != half}
    if not scenes:
        raise ReconError(
            f"{wanted.folder} has neither half of {wanted}: unpack the benchmark's pictures and calibration there"
        )
    return replace(wanted, scenes=scenes)


def _reasons(wanted: Asked, lacking: dict[str, str]) -> list[str]:
    return [
        f"  {name} ({wanted.scenes[name].half}): {reason.removeprefix(f'scene {name}: ')}"
        for name, reason in lacking.items()
    ]


def _task(options: SubmitOptions, wanted: Asked, name: str) -> RunTask:
    scene = wanted.scenes[name]
    return RunTask(
        protocol="spare",
        dataset=scene.half,
        scene=name,
        views=len(scene.input_views),
        options=ReconstructOptions(
            photos=wanted.folder,
            output=options.work_folder / name,
            method=options.method,
            preset=options.preset,
            protocol="spare",
            scene=name,
            track=options.track,
            part=options.split,
            device=options.device,
            seed=options.seed,
            settings=options.settings,
        ),
    )


def _claim(options: SubmitOptions, wanted: Asked) -> None:
    """Note what the work folder is for, and refuse one that is for something else.

    Raises:
        ReconError: when its runs were made with other options, or the zip is there and was not made from this folder.
    """
    note = options.work_folder / "submission.json"
    content = {
        "data": str(wanted.folder),
        "track": options.track,
        "split": options.split,
        "method": options.method,
        "preset": options.preset,
        "seed": options.seed,
        "settings": list(options.settings),
        "device": options.device,
    }
    if note.is_file():
        before = read_json(note)
        changed = [
            name
            for name, value in content.items()
            if not isinstance(before, dict) or before.get(name) != value
        ]
        if changed:
            raise ReconError(
                f"{options.work_folder} holds runs with another {', '.join(changed)}: give the zip another name, "
                "or remove that folder"
            )
    elif options.work_folder.exists() and any(options.work_folder.iterdir()):
        raise ReconError(
            f"{options.work_folder} holds files that no submission made: give the zip another name"
        )
    elif options.output.exists():
        raise ReconError(
            f"{options.output} is there already and would be replaced: give the zip another name"
        )
    else:
        write_json(note, {**content, "version": __version__})


def _train(tasks: list[RunTask], options: SubmitOptions, say: Callable[[str], None]) -> None:
    unfinished = [task for task in tasks if not RunFolder(task.options.output).metrics_file.is_file()]
    if len(unfinished) < len(tasks):
        say(f"{len(tasks) - len(unfinished)} of {len(tasks)} scenes are reconstructed already")
    failed: dict[str, str] = {}
    done = 0

    def finished(task: RunTask, problem: str | None) -> None:
        nonlocal done
        done += 1
        if problem is not None:
            failed[task.scene] = problem
        say(f"{done} of {len(unfinished)}: {task.scene} {'failed' if problem else 'is reconstructed'}")

    if unfinished:
        say(f"reconstructing {', '.join(task.scene for task in unfinished)}")
        open_executor(options.executor, options.workers).run(unfinished, finished)
    if failed:
        reasons = "\n".join(f"  {scene}: {problem}" for scene, problem in failed.items())
        raise ReconError(
            f"{len(failed)} of {len(tasks)} scenes could not be reconstructed, so no zip was written; the same command "
            f"goes on with them:\n{reasons}"
        )


def _readme(options: SubmitOptions, wanted: Asked, rendered: list[RenderedScene]) -> str:
    extra_data = " ".join(options.extra_data.split())
    return readme_text(wanted, rendered, options.method, options.preset, options.seed, extra_data)
