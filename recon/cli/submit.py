"""`recon submit`: make a benchmark submission, or check one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Union

from tyro.conf import OmitArgPrefixes, OmitSubcommandPrefixes, Positional, arg, subcommand

if TYPE_CHECKING:
    from recon.submission.faults import Verdict


def spare(
    data: Path,
    track: Literal[1, 2],
    split: Literal["development", "test"],
    output: Annotated[Path, arg(aliases=["-o"])],
    method: str = "quality",
    preset: Literal["quick", "standard", "full"] = "standard",
    scenes: tuple[str, ...] = (),
    seed: int = 0,
    extra_data: str = "",
    device: Literal["auto", "cpu", "cuda"] = "auto",
    set: tuple[str, ...] = (),
    executor: Literal["local", "ray"] = "local",
    workers: int | None = None,
) -> None:
    """Reconstruct every scene of a SpaRe split, render its test views, and write the zip that the benchmark takes.

    Run folders are kept beside the zip (mine.zip: mine.runs/), and the same command goes on where it stopped. A half
    (DTU, Synthetic) without files is left out. At the end the zip is checked; exit status 1 tells that it has faults.

    Args:
        data: SpaRe folder with split files, calibration and pictures.
        track: 1 (3 input views) or 2 (9).
        split: which split file.
        output: the zip to write.
        method: `quality`, `coherent` or `splat`.
        preset: how much time to spend.
        scenes: only these scenes of the split.
        seed: seed of everything random.
        extra_data: for readme.txt: data besides the input views that you used, such as a trained prior.
        device: where to compute.
        set: settings of the method, such as train.iterations=500.
        executor: processes on this machine, or a Ray cluster.
        workers: scenes at the same time; by default as many as cores and memory allow.
    """
    from recon.submission.submit import SubmitOptions, submit_spare

    options = SubmitOptions(
        data=data,
        output=output,
        track=track,
        split=split,
        method=method,
        preset=preset,
        scenes=scenes,
        seed=seed,
        extra_data=extra_data,
        device=device,
        settings=set,
        executor=executor,
        workers=workers,
    )
    try:
        verdict = submit_spare(options, _say)
    except KeyboardInterrupt:
        _say("recon: interrupted; the same command goes on where it stopped")
        raise SystemExit(130) from None
    _conclude(verdict)


def check(
    zip: Positional[Path],
    /,
    data: Path,
    track: Literal[1, 2],
    split: Literal["development", "test"],
    scenes: tuple[str, ...] = (),
) -> None:
    """Check a SpaRe submission, made by any program, and name each fault; nothing is unpacked to disk.

    Exit status 0: valid; 1: faults, each is printed; 2: refused, because it is no zip or could do harm.

    Args:
        zip: the submission.
        data: SpaRe folder with split files and calibration; input pictures are compared where they are there.
        track: 1 (3 input views) or 2 (9).
        split: which split file.
        scenes: expect only these scenes of the split.
    """
    from recon.submission.check import check_submission
    from recon.submission.spare import asked

    _conclude(check_submission(zip, asked(data, track, split, scenes)))


_Commands = OmitArgPrefixes[
    OmitSubcommandPrefixes[
        Union[  # noqa: UP007  an annotated None cannot stand beside |
            Annotated[None, subcommand("spare", constructor=spare)],
            Annotated[None, subcommand("check", constructor=check)],
        ]
    ]
]


def submit(command: _Commands) -> None:
    """Make a submission to a benchmark whose test pictures are hidden, or check one."""


def _conclude(verdict: Verdict) -> None:
    for line in verdict.lines():
        print(line)
    if not verdict.passed:
        raise SystemExit(1)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
