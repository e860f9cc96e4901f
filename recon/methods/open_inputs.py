"""Photos or a data set to a posed scene: read given cameras, or estimate and verify them."""

from __future__ import annotations

from dataclasses import replace

from recon.datasets import check_choices, open_scene, recognise
from recon.errors import ReconError
from recon.methods.estimated_scene import estimated_scene
from recon.methods.options import RunSettings
from recon.run_folder import RunFolder
from recon.scene import Scene


def open_inputs(settings: RunSettings, run: RunFolder) -> Scene:
    """Return the posed scene of a run, rendered over the colour that was put behind transparent input photos.

    Raises:
        ReconError: when the photos cannot be read, or their poses can neither be read nor certified.
    """
    scene = _posed_scene(settings, run)
    if scene.background is None and scene.train:
        scene = replace(scene, background=scene.train_views[0].background)
    return scene


def given_scene(settings: RunSettings) -> Scene:
    """Open what the settings choose of a data set that comes with cameras; no picture is decoded yet.

    Raises:
        ReconError: when the data set does not hold it.
    """
    return open_scene(
        settings.photos,
        protocol=settings.protocol,
        split=settings.split,
        views=settings.views,
        downscale=settings.downscale,
        max_size=settings.max_size,
        scene=settings.scene,
        track=settings.track,
        part=settings.part,
        frame=settings.frame,
    )


def _posed_scene(settings: RunSettings, run: RunFolder) -> Scene:
    layout = recognise(settings.photos)
    if layout.name != "photos":
        if settings.poses in ("estimate", "uncertified"):
            raise ReconError(
                f"{settings.photos} comes with cameras ({layout.name}); give the folder that holds only its photos "
                "to have poses estimated"
            )
        return given_scene(settings)
    check_choices(
        settings.photos,
        layout,
        scene=settings.scene,
        track=settings.track,
        part=settings.part,
        frame=settings.frame,
    )
    if settings.poses == "given":
        raise ReconError(
            f"{settings.photos} holds photos without cameras; use --poses auto to have them estimated"
        )
    if settings.downscale is not None:
        raise ReconError(
            "--downscale divides the size that posed pictures are given for; for photos without cameras give --max-size"
        )
    if settings.protocol or settings.views:
        raise ReconError(
            "--protocol and --views choose among posed views; for photos without cameras give --split"
        )
    return estimated_scene(settings, run)
