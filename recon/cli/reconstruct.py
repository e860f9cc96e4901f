"""`recon reconstruct`: photos in, run folder out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg


def reconstruct(
    photos: Positional[Path],
    /,
    output: Annotated[Path, arg(aliases=["-o"])],
    method: str = "quality",
    preset: Literal["quick", "standard", "full"] = "standard",
    poses: Literal["auto", "given", "estimate", "uncertified"] = "auto",
    focal_mm: float | None = None,
    protocol: str | None = None,
    split: Path | None = None,
    views: int | None = None,
    downscale: float | None = None,
    max_size: int | None = None,
    scene: str | None = None,
    track: Literal[1, 2] | None = None,
    part: Literal["development", "test"] | None = None,
    frame: int | None = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    seed: int = 0,
    set: tuple[str, ...] = (),
    resume: bool = False,
    overwrite: bool = False,
    view: bool = False,
    port: int = 0,
    browser: bool = True,
) -> None:
    """Reconstruct a 3D scene from a few photos.

    Writes a run folder: the splat, cameras, pictures, depth, metrics.json and report.html.

    Args:
        photos: folder of photos, or a data set in COLMAP, transforms.json, LLFF, DTU/IDR, SpaRe, Blender or
            multi-camera layout.
        output: folder for the run; never overwritten without --overwrite.
        method: `quality` (best few-view splats without weights), `coherent` (CoherentGS: Gaussians bound to the photos'
            rays) or `splat` (plain 3D Gaussian splatting).
        preset: how much time to spend.
        poses: `auto` takes poses that come with the photos and estimates them otherwise; `given` and `estimate` insist
            on one of the two; `uncertified` goes on with estimated poses that could not be verified and marks the
            result so.
        focal_mm: the lens's 35 mm equivalent focal length, for photos without EXIF.
        protocol: choose input and held-out views by a benchmark's rule: llff, dtu, blender, spare or mip360.
        split: JSON file {"train": [names], "test": [names]}.
        views: number of input views, where a protocol leaves the choice.
        downscale: divide the pictures' width and height by this, instead of the protocol's own factor.
        max_size: longest side of the pictures to work on, in pixels; chosen by the preset for photos.
        scene: which scene of a SpaRe folder that holds several.
        track: SpaRe track whose split to follow, 1 (3 input views) or 2 (9).
        part: which part's split file of a SpaRe track to follow, where both have the scene.
        frame: which moment of a multi-camera clip, counted from 0; the first by default.
        device: where to compute.
        seed: seed of everything random.
        set: settings of the method, such as train.iterations=500; config.yaml of a run lists them all.
        resume: continue a run that was interrupted.
        overwrite: replace an existing run folder.
        view: watch in the browser, and go on showing the result until Ctrl-C.
        port: where the viewer listens; 0 takes any port that is free.
        browser: open the viewer in the default browser.
    """
    from recon.methods.options import ReconstructOptions

    options = ReconstructOptions(
        photos=photos,
        output=output,
        method=method,
        preset=preset,
        poses=poses,
        focal_mm=focal_mm,
        protocol=protocol,
        split=split,
        views=views,
        downscale=downscale,
        max_size=max_size,
        scene=scene,
        track=track,
        part=part,
        frame=frame,
        device=device,
        seed=seed,
        settings=set,
        resume=resume,
        overwrite=overwrite,
    )
    if view:
        from recon.server.view import ViewOptions, reconstruct_and_view

        reconstruct_and_view(options, ViewOptions(port=port, browser=browser))
    else:
        from recon.methods.pipeline import reconstruct as run

        run(options)
