"""`coherent`: CoherentGS, Gaussians on the photos' rays that small networks move together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from recon.coherence import AlignmentSettings, DecoderSettings, FlowTerm, PointFlows, RayGaussians, align
from recon.coherence.fields import DecodedField, Field, FreeField
from recon.coherence.gaussians import RaySettings
from recon.coherence.grid import PixelGrid, cell_size, pixel_grids
from recon.coherence.holes import fill_holes, widened
from recon.coherence.layers import depth_layers
from recon.coherence.memory import decoder_bytes, flow_bytes, multisampling_bytes
from recon.errors import ReconError
from recon.losses import LayeredSmoothness, MultiScaleTerm
from recon.methods.inputs import Inputs
from recon.methods.virtual_views import virtual_cameras
from recon.priors import ClassicalInpainting, DepthPrior, DisFlow, FlowPrior, StereoDepth, StereoFlow
from recon.splats import Gaussians
from recon.train import LearningRates, Trainer, TrainSettings, ViewSampler, training_view
from recon.train.multisampling import Multisampling
from recon.train.rules import DropoutSettings, GuidedDropout

PAPER_UNIT = 0.75
"""CoherentGS scales LLFF scenes so that this share of the near bound is one unit of length."""
GEOMETRY_CHANNELS = {1: 10, 2: 10, 3: 15}
OPACITY_CHANNELS = {1: 6, 2: 6, 3: 10}
MOST_CHANNELS = 18, 12
"""Base channels of the two decoders by the number of photos, and for four and more (CoherentGS, released code)."""

BEYOND = 1.5
"""Holes are looked for from cameras that spread this much further than the photos' own: novel views leave their
hull."""


@dataclass(frozen=True)
class PriorSettings:
    """What depth and correspondences are taken from."""

    depth: Literal["stereo", "depth-anything"] = "stereo"
    """Stereo with filled holes, or a local Depth Anything V2 brought to scale by stereo."""
    depth_folder: Path | None = None
    """Folder with the weights of Depth Anything V2."""
    flow: Literal["stereo", "dis"] = "stereo"
    """Correspondences from stereo that two photos agree on, or dense optical flow with a forward-backward check."""
    repair: Literal["none", "inpainting"] = "inpainting"
    """What fills holes after the training: classical inpainting, or nothing, so that they stay visible."""


@dataclass(frozen=True)
class CoherentConfig:
    """CoherentGS (Paliwal et al. 2024) on stereo depth; fractions are of the training's length."""

    count: int = 600_000
    """Number of Gaussians at most: one per pixel, or per block of pixels where the photos have more."""
    layers: int = 5
    """Depth layers per photo, each with a smooth field of its own."""
    priors: PriorSettings = field(default_factory=PriorSettings)
    """Depth, correspondences and repair."""
    alignment: AlignmentSettings = field(default_factory=AlignmentSettings)
    """Phase A, scale and offset per photo."""
    rays: RaySettings = field(default_factory=RaySettings)
    """Movement along the rays, opacities, radii."""
    geometry: DecoderSettings = field(default_factory=DecoderSettings)
    """The network that changes depths."""
    opacity: DecoderSettings = field(default_factory=lambda: DecoderSettings(rate=1e-5, rise=0.154))
    """The network that changes opacities."""
    train: TrainSettings = field(
        default_factory=lambda: TrainSettings(
            iterations=13_000,
            rates=LearningRates(log_scales=1e-4, quaternions=1e-5, sh_constant=5e-4, sh_rest=5e-5),
            sh_start=0.538,
        )
    )
    """Phase B: length, step sizes, degrees. Centres and opacities have step sizes only where the networks are off."""
    photometric: MultiScaleTerm = field(default_factory=MultiScaleTerm)
    """Colour loss."""
    smoothness: float = 5.0
    """Weight of the total variation of the rendered disparity."""
    smoothness_share: float = 0.35
    """Share of it that spares steps between layers, at the start; it grows to 1."""
    flow: float = 0.1
    """Weight of the 3-D flow loss in phase B."""
    multisampling: Multisampling = field(default_factory=Multisampling)
    """Rendering finer than the photos late in the training."""
    dropout: DropoutSettings = field(default_factory=lambda: DropoutSettings(start_rate=0.0, end_rate=0.0))
    """Guided dropout as in `quality`; CoherentGS has none, so it is off by default and on in the short presets."""
    novel_views: int = 8
    """Cameras between and beyond the photos in which holes are looked for, beside the photos' own widened ones."""
    margin: float = 0.15
    """Share of its size by which a photo's picture is widened to look for holes beyond its frame."""

    @property
    def expected_gaussians(self) -> int:
        """How many Gaussians a run ends with at most, for estimates of its memory; a third is for what fills holes."""
        return self.count + self.count // 3

    def extra_bytes(self, pixels: Sequence[int]) -> int:
        """Estimate what a training takes beside Gaussians and renderings at the photos' size.

        Args:
            pixels: of every input picture.
        """
        cells = min(self.count, sum(pixels))
        decoders = (self.geometry, GEOMETRY_CHANNELS, 0), (self.opacity, OPACITY_CHANNELS, 1)
        return (
            sum(
                decoder_bytes(cells, _channels(settings, table, most, len(pixels)), settings.stride)
                for settings, table, most in decoders
                if settings.enabled
            )
            + flow_bytes(cells, len(pixels))
            + multisampling_bytes(max(pixels), self.multisampling.highest)
        )


def compose(
    inputs: Inputs,
    config: CoherentConfig,
    seed: int,
    device: torch.device,
    *,
    prior: DepthPrior | None = None,
) -> Trainer:
    """Put CoherentGS together.

    1. Depth per pixel, correspondences between photos, and depth layers.
    2. Phase A: scale and offset per photo, by the 3-D flow loss.
    3. Phase B: one Gaussian per pixel on its ray; two decoders move depth and opacity, layer by layer; colour at
       several sizes, structure, smooth disparity within layers, 3-D flow; radii follow the depths until scale and
       rotation are free; late, photos are rendered finer and averaged.

    Args:
        prior: depth prior in place of the one that the config names.
    """
    generator = torch.Generator().manual_seed(seed)
    depths = (prior or depth_prior(config.priors))(inputs.views, inputs.depths)
    sizes = [depth.shape for depth in depths]
    grids = pixel_grids(inputs.views, depths, cell_size(inputs.views, config.count), config.layers, device)
    flows = PointFlows(flow_prior(config.priors)(inputs.views, inputs.depths), grids, sizes)
    grids, _ = align(grids, flows, config.alignment)

    gaussians = RayGaussians(
        grids,
        _geometry(grids, config, inputs, generator),
        _opacity(grids, config, generator),
        config.rays,
        config.train.rates,
        config.train.sh_degree,
    )
    photos = [
        training_view(view, depth=torch.as_tensor(depth), device=device)
        for view, depth in zip(inputs.views, depths, strict=True)
    ]
    unit = PAPER_UNIT * inputs.near
    terms: list = [config.photometric]
    if config.smoothness > 0:
        labels = {
            view.name: torch.as_tensor(depth_layers(depth, config.layers), device=device)
            for view, depth in zip(inputs.views, depths, strict=True)
        }
        terms.append(LayeredSmoothness(labels, config.smoothness, unit, config.smoothness_share))
    if config.flow > 0:
        names = [view.name for view in inputs.views]
        terms.append(FlowTerm(gaussians, flows, names, config.flow, unit))
    return Trainer(
        gaussians,
        ViewSampler(photos, generator),
        config.train,
        terms=terms,
        dropout=GuidedDropout(config.dropout, inputs.overlap) if config.dropout.end_rate > 0 else None,
        multisampling=config.multisampling,
        background=None if inputs.background is None else torch.tensor(inputs.background, device=device),
        generator=generator,
    )


def finish(gaussians: Gaussians, inputs: Inputs, config: CoherentConfig) -> Gaussians:
    """Fill holes with what a repair prior invents, beyond the photos' frames first; without a prior they stay.

    What was invented is seen by no photo, so confidence and coverage say so.
    """
    if config.priors.repair == "none" or inputs.background is not None:
        return gaussians
    cell = cell_size(inputs.views, config.count)
    photos = [
        view.camera.resized(*(max(2, round(side / cell)) for side in (view.camera.width, view.camera.height)))
        for view in inputs.views
    ]
    between = virtual_cameras(photos, config.novel_views, beyond=BEYOND, random=np.random.default_rng(0))
    novel = [widened(camera, config.margin) for camera in (*photos, *between)]
    return fill_holes(gaussians, novel, ClassicalInpainting())[0]


def depth_prior(settings: PriorSettings) -> DepthPrior:
    """Return the depth prior that the settings name."""
    if settings.depth == "stereo":
        return StereoDepth()
    if settings.depth_folder is None:
        raise ReconError(
            "priors.depth=depth-anything needs priors.depth_folder, the folder of a Depth Anything V2 model"
        )
    from recon.priors.depth_anything import DepthAnything

    return DepthAnything(settings.depth_folder)


def flow_prior(settings: PriorSettings) -> FlowPrior:
    """Return the flow prior that the settings name."""
    return StereoFlow() if settings.flow == "stereo" else DisFlow()


def _geometry(
    grids: list[PixelGrid], config: CoherentConfig, inputs: Inputs, generator: torch.Generator
) -> Field:
    if not config.geometry.enabled:
        rates, reach = config.train.rates, config.rays.depth_range * inputs.near
        return FreeField(grids, rates.means_pixels * inputs.pixel_size / reach, rates.means_final)
    channels = _channels(config.geometry, GEOMETRY_CHANNELS, 0, len(grids))
    return DecodedField(grids, config.geometry, channels, config.layers, generator)


def _opacity(grids: list[PixelGrid], config: CoherentConfig, generator: torch.Generator) -> Field:
    if not config.opacity.enabled:
        return FreeField(grids, config.train.rates.opacity_logits / config.rays.opacity_range)
    channels = _channels(config.opacity, OPACITY_CHANNELS, 1, len(grids))
    return DecodedField(grids, config.opacity, channels, config.layers, generator)


def _channels(settings: DecoderSettings, table: Mapping[int, int], most: int, views: int) -> int:
    return settings.channels or table.get(views, MOST_CHANNELS[most])
