"""Frame 0 of a stream: a whole reconstruction."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from recon.methods.options import ReconstructOptions, resolve
from recon.methods.pipeline import finished, method_module
from recon.methods.progress import shown_steps
from recon.methods.stereo_inputs import stereo_inputs
from recon.scene import Exposures, Scene
from recon.splats import Gaussians
from recon.train.progress import shown_progress


@dataclass(frozen=True)
class FirstFrameSettings:
    """How frame 0 is reconstructed."""

    method: str = "quality"
    """A method of `recon reconstruct`; its stereo start also fills what few cameras see (QUEEN starts from points and
    fills with learned depth)."""
    preset: str = "quick"
    """Its preset."""
    settings: tuple[str, ...] = ()
    """Laid over the preset, as with `recon reconstruct --set`."""


@dataclass(frozen=True, eq=False)
class FirstFrame:
    """Frame 0.

    Attributes:
        gaussians: as they were trained.
        pixel_size: world size of a pixel at the median depth, the unit of all later steps.
        exposures: what was taken out of the cameras' pictures; empty where they are exposed alike.
    """

    gaussians: Gaussians
    pixel_size: float
    exposures: Exposures


def first_frame(
    capture: Path, scene: Scene, settings: FirstFrameSettings, seed: int, device: torch.device
) -> FirstFrame:
    """Reconstruct one moment from its input views.

    Raises:
        ReconError: when stereo finds nothing, or a setting is wrong.
    """
    options = ReconstructOptions(
        capture, capture, settings.method, settings.preset, seed=seed, settings=settings.settings
    )
    chosen = resolve(options)
    with shown_steps("frame 0, stereo") as show:
        inputs = stereo_inputs(
            scene.train_views,
            chosen.stereo_config,
            bounds=scene.bounds,
            background=scene.background,
            progress=lambda done, total: show(f"sweep {done} of {total}", done / total),
        )
    trainer = method_module(settings.method).compose(inputs, chosen.method_config, seed, device)
    with shown_progress(f"frame 0, {settings.method}") as progress:
        trainer.callbacks.append(progress)
        trainer.run()
    gaussians = trainer.gaussians.gaussians.detach().to("cpu")
    gaussians = finished(settings.method, gaussians, inputs, chosen.method_config)
    return FirstFrame(gaussians, inputs.pixel_size, inputs.exposures)
