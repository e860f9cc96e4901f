"""`splat`: plain 3D Gaussian splatting, the baseline that other methods are measured against."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from recon.losses import PhotometricTerm
from recon.methods.initialize import InitialSettings, expected_count, initial_gaussians
from recon.methods.inputs import Inputs
from recon.train import OptimizedGaussians, Trainer, TrainSettings, ViewSampler, training_view
from recon.train.camera_refinement import CameraRefinement, CameraRefinementSettings
from recon.train.memory import gaussian_limit
from recon.train.rules import DensityControl, DensitySettings, OpacityReset


@dataclass(frozen=True)
class SplatConfig:
    """3D Gaussian Splatting (Kerbl et al. 2023) with random or stereo initialisation."""

    initial: InitialSettings = field(
        default_factory=lambda: InitialSettings(opacity=0.1, backdrop_cell=0, continuation_cell=0)
    )
    """The Gaussians that the training starts from."""
    train: TrainSettings = field(default_factory=TrainSettings)
    """Length, step sizes, degrees."""
    density: DensitySettings = field(default_factory=DensitySettings)
    """Growth and pruning."""
    cameras: CameraRefinementSettings = field(default_factory=CameraRefinementSettings)
    """Joint refinement of the cameras."""
    ssim_weight: float = 0.2
    """Share of structural dissimilarity in the colour loss."""
    reset_every: float = 0.3
    """Opacities are reset each time this fraction of the training has passed; 0 for never."""

    @property
    def expected_gaussians(self) -> int:
        """How many Gaussians a run ends with at most, for estimates of its memory."""
        return expected_count(self.initial, self.density)


def compose(inputs: Inputs, config: SplatConfig, seed: int, device: torch.device) -> Trainer:
    """Put 3DGS together: start, photometric loss, density control, opacity reset."""
    generator = torch.Generator().manual_seed(seed)
    start = initial_gaussians(inputs, config.initial, config.train.sh_degree, generator)
    gaussians = OptimizedGaussians(start.to(device), config.train.rates, inputs.pixel_size)
    photos = [training_view(view, device=device) for view in inputs.views]

    rules: list = [
        DensityControl(config.density, gaussians, gaussian_limit(config.density.max_gaussians, start, photos))
    ]
    if config.reset_every > 0:
        rules.append(
            OpacityReset(max(1, int(config.reset_every * config.train.iterations)), config.density.stop)
        )
    return Trainer(
        gaussians,
        ViewSampler(photos, generator),
        config.train,
        terms=[PhotometricTerm(config.ssim_weight)],
        rules=rules,
        cameras=CameraRefinement(photos, config.cameras, inputs.median_depth)
        if config.cameras.enabled
        else None,
        background=None if inputs.background is None else torch.tensor(inputs.background, device=device),
        generator=generator,
    )
