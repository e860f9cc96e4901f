"""`quality`: the best few-view splats that need no downloaded weights."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from recon.losses import DepthTerm, PhotometricTerm
from recon.methods.initialize import InitialSettings, expected_count, initial_gaussians
from recon.methods.inputs import Inputs
from recon.methods.virtual_views import VirtualViewSettings, virtual_views
from recon.train import LearningRates, OptimizedGaussians, Trainer, TrainSettings, ViewSampler, training_view
from recon.train.camera_refinement import CameraRefinement, CameraRefinementSettings
from recon.train.memory import gaussian_limit
from recon.train.resolution import ResolutionSchedule, ResolutionSettings
from recon.train.rules import (
    DensityControl,
    DensitySettings,
    DropoutSettings,
    GuidedDropout,
    OpacityDecay,
)


@dataclass(frozen=True)
class QualityConfig:
    """Stereo initialisation and the regularisers that were measured to pay."""

    initial: InitialSettings = field(default_factory=InitialSettings)
    """The Gaussians that the training starts from."""
    train: TrainSettings = field(
        default_factory=lambda: TrainSettings(
            sh_degree=1,
            rates=LearningRates(means_pixels=0.1, log_scales=4e-2, log_scales_final=0.5),
        )
    )
    """Length, step sizes, degrees. Sizes move fast at first, because thinning leaves gaps of any width between them;
    centres move in pixels of the size at which stereo matched, because the start is off by so many of those."""
    resolution: ResolutionSettings = field(default_factory=lambda: ResolutionSettings(coarse_until=0.5))
    """Smaller pictures first: about as good, in less time."""
    density: DensitySettings = field(default_factory=lambda: DensitySettings(stop=0.0))
    """Growth and pruning; nothing grows by default, because a dense start does not need it."""
    dropout: DropoutSettings = field(default_factory=DropoutSettings)
    """Depth-and-density guided dropout."""
    virtual: VirtualViewSettings = field(default_factory=lambda: VirtualViewSettings(count=0))
    """Forward-warped virtual views; off by default, see docs/results.md for what they brought."""
    depth: DepthTerm = field(default_factory=lambda: DepthTerm(weight=0.0))
    """Pull towards the stereo depth where it is trusted; off by default, see docs/results.md."""
    photometric: PhotometricTerm = field(default_factory=PhotometricTerm)
    """Colour loss for photos and virtual views."""
    cameras: CameraRefinementSettings = field(default_factory=CameraRefinementSettings)
    """Joint refinement of the cameras."""
    opacity_left: float = 0.3
    """Share of an opacity that the steady decay leaves at the end where no picture supports it; 1 for no decay."""

    @property
    def expected_gaussians(self) -> int:
        """How many Gaussians a run ends with at most, for estimates of its memory."""
        return expected_count(self.initial, self.density)


def compose(inputs: Inputs, config: QualityConfig, seed: int, device: torch.device) -> Trainer:
    """Put `quality` together.

    1. Sharp Gaussians on the stereo points, and a coarse backdrop behind them that closes gaps.
    2. Colour loss on the photos; dropout that prefers near and dense Gaussians; steady opacity decay.
    3. Where switched on: virtual views warped from the photos, where covered; a pull towards the stereo depth in the
       confident mask; growth by absolute view-space gradients.
    """
    generator = torch.Generator().manual_seed(seed)
    start = initial_gaussians(inputs, config.initial, config.train.sh_degree, generator)
    gaussians = OptimizedGaussians(start.to(device), config.train.rates, inputs.matched_pixel_size)
    photos = [
        training_view(
            view,
            depth=torch.as_tensor(depth.depth),
            depth_weight=torch.as_tensor(depth.confidence),
            device=device,
        )
        for view, depth in zip(inputs.views, inputs.depths, strict=True)
    ]
    warped = (
        []
        if inputs.points is None
        else virtual_views(inputs.views, inputs.points, config.virtual, seed, device)
    )

    rules: list = [
        DensityControl(config.density, gaussians, gaussian_limit(config.density.max_gaussians, start, photos))
    ]
    if config.opacity_left < 1:
        rules.append(OpacityDecay(config.opacity_left))
    return Trainer(
        gaussians,
        ViewSampler(photos, generator, virtual=warped, virtual_every=config.train.virtual_every),
        config.train,
        terms=[config.photometric, *([config.depth] if config.depth.weight > 0 else [])],
        rules=rules,
        dropout=GuidedDropout(config.dropout, inputs.overlap) if config.dropout.end_rate > 0 else None,
        cameras=CameraRefinement(photos, config.cameras, inputs.median_depth)
        if config.cameras.enabled
        else None,
        resolution=ResolutionSchedule(config.resolution, inputs.stride),
        background=None if inputs.background is None else torch.tensor(inputs.background, device=device),
        generator=generator,
    )
