"""`recon synth`: render a procedural scene with exact cameras, depth and masks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg


def synth(
    recipe: Positional[str],
    /,
    output: Annotated[Path, arg(aliases=["-o"])],
    quality: Literal["draft", "standard", "high"] = "standard",
    size: tuple[int, int] | None = None,
    seed: int | None = None,
    frames: int | None = None,
    picture_format: Annotated[Literal["png", "jpg"], arg(name="format")] = "png",
    depth: bool = True,
    masks: bool = True,
    colmap: bool = False,
    overwrite: bool = False,
) -> None:
    """Render a recipe to photos, exact cameras, depth and masks; an interrupted call continues when repeated.

    Args:
        recipe: tabletop, shelf, platform or moving, or the path of a recipe's .yaml file; `recon synth spare`,
            with options of its own, makes many scenes in the layout of the SpaRe benchmark.
        output: folder to write to.
        quality: light paths per pixel (draft 16, standard 72, high 288); nothing is denoised, and the noise of
            every picture is written to synth.json.
        size: width and height in pixels instead of the recipe's.
        seed: other textures and irregular shapes than the recipe's.
        frames: frames per camera instead of the recipe's; more than one makes a clip.
        picture_format: of the photos.
        depth: write z-depth in metres as float32 .npy.
        masks: write masks of the foreground objects.
        colmap: also write the cameras as a COLMAP text model (still scenes).
        overwrite: replace what other settings have made in the folder.
    """
    from rich.progress import Progress

    from recon.synth import generate

    with Progress() as bar:
        task = bar.add_task("rendering", total=None)

        def show(done: int, total: int, name: str) -> None:
            bar.update(task, completed=done, total=total, description=name or "done")

        made = generate(
            recipe,
            output,
            quality=quality,
            size=size,
            seed=seed,
            frames=frames,
            picture_format=picture_format,
            depth=depth,
            masks=masks,
            colmap=colmap,
            overwrite=overwrite,
            progress=show,
        )
    print(
        f"wrote {made.pictures} pictures to {made.folder} ({made.rendered} rendered now); "
        f"their noise is {made.noise:.4f} of the full range"
    )
