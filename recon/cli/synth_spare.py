"""`recon synth spare`: render an open stand-in for SpaRe's synthetic half."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import arg


def synth_spare(
    output: Annotated[Path, arg(aliases=["-o"])],
    scenes: int = 24,
    seed: int = 0,
    views: int = 49,
    size: str = "1600x1200",
    lights: Literal[1, 7] = 1,
    samples: int = 24,
    workers: int | None = None,
    overwrite: bool = False,
) -> None:
    """Render procedural objects in SpaRe's layout, with depth, masks and splits; repeat the call to continue.

    A stand-in, not SpaRe's data: numbers measured on it are not comparable with published ones (README.txt in the
    folder says more).

    Args:
        output: folder to write to.
        scenes: how many objects: the first 15 are shared out over development and test, the others are for training.
        seed: other objects, textures and splits; the cameras stay the same.
        views: cameras per scene.
        size: width and height of the pictures; the calibration stays that of 1600x1200.
        lights: 1 renders the lighting with all lamps on (number 3, the one that is evaluated), 7 renders all.
        samples: light paths per pixel; nothing is denoised, and every picture's noise is written to synth/SCENE.json.
        workers: processes; by default one per core, but no more than scenes.
        overwrite: replace what other settings have made in the folder.
    """
    from rich.progress import Progress

    from recon.datasets.spare import ALL_LIGHTS
    from recon.synth.spare import generate_spare, read_size
    from recon.synth.spare_rig import LIGHTINGS

    with Progress() as bar:
        task = bar.add_task("rendering", total=None)

        def show(done: int, total: int, name: str) -> None:
            bar.update(task, completed=done, total=total, description=name)

        made = generate_spare(
            output,
            scenes=scenes,
            seed=seed,
            views=views,
            size=read_size(size),
            lightings=(ALL_LIGHTS,) if lights == 1 else tuple(range(LIGHTINGS)),
            samples=samples,
            workers=workers,
            overwrite=overwrite,
            progress=show,
        )
    print(
        f"wrote {made.pictures} pictures of {len(made.scenes)} scenes to {made.folder} ({made.rendered} rendered now); "
        f"their noise is {made.noise:.4f} of the full range"
    )
