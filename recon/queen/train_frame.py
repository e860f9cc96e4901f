"""Training one residual frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from recon import ops
from recon.losses import PhotometricTerm
from recon.queen.births import GrowthStatistics
from recon.queen.dynamic_pixels import dynamic_pixels, masked_view
from recon.queen.frame_model import FrameModel
from recon.queen.gradient_difference import gradient_difference
from recon.queen.settings import QueenSettings
from recon.splats import Gaussians
from recon.streaming import Residual, StreamState
from recon.train import TrainingView, ViewSampler


@dataclass(frozen=True, eq=False)
class Moment:
    """One moment of a clip as its training cameras see it.

    Attributes:
        views: the same cameras in the same order at every moment.
        background: colour behind everything, if known.
    """

    views: Sequence[TrainingView]
    background: Tensor | None = None


def train_frame(
    state: StreamState,
    before: Moment,
    now: Moment,
    settings: QueenSettings,
    pixel_size: float,
    generator: torch.Generator,
) -> Residual:
    """Find the residual that leads from the state of one moment to the next.

    1. View-space gradient difference: which Gaussians the new photos pull at.
    2. Residuals of these start at zero; gates as open as the difference says.
    3. For a first part of the iterations, compare only the pixels that these Gaussians cover; then whole photos.
       A tenth of the Gaussians, another one each time, is left out of the picture.
    4. On the way, new Gaussians where the photos pull hardest.
    5. Round, and leave out what is zero, new Gaussians that stayed transparent, and old ones that became so.

    Source: QUEEN (Girish et al. 2024), section 3.
    """
    device = now.views[0].image.device
    gaussians = state.gaussians().to(device)
    difference = gradient_difference(gaussians, before.views, now.views)
    model = FrameModel(state, difference, settings, pixel_size, generator)
    if len(model) == 0:
        return Residual()
    moving = gaussians[model.rows]
    parts = [masked_view(view, dynamic_pixels(moving, view, settings.mask_block)) for view in now.views]
    masked = [part for part in parts if part is not None] or list(now.views)

    whole_from = int(settings.masked_share * settings.iterations)
    samplers = ViewSampler(masked, generator), ViewSampler(now.views, generator)
    loss_term = PhotometricTerm(ssim_weight=settings.ssim_weight)
    grow_at = int(settings.births.at * settings.iterations) if settings.births.most else 0
    statistics = GrowthStatistics(len(state), device)
    for iteration in range(settings.iterations):
        view = samplers[iteration >= whole_from].next(iteration, 0)
        progress = iteration / settings.iterations
        if iteration == grow_at and iteration > 0:
            model.grow(statistics, generator)
        offsets = None
        if iteration < grow_at:
            offsets = torch.zeros(len(state), 2, device=device, requires_grad=True)
        gaussians = model.gaussians()
        opacities = dropped_out(gaussians.opacities, settings.dropout, generator)
        picture = rasterized(gaussians, view, now.background, opacities, offsets)
        loss = loss_term(picture, view, progress) + model.penalty()
        loss.backward()
        if offsets is not None and offsets.grad is not None:
            statistics.add(offsets.grad, picture, view)
        model.step(progress)
    return model.residual()


def dropped_out(opacities: Tensor, rate: float, generator: torch.Generator) -> Tensor:
    """Leave out a share of the Gaussians at random; the others make up for them (DropGaussian, Park et al. 2025)."""
    if rate <= 0:
        return opacities
    stays = torch.rand(len(opacities), generator=generator).to(opacities.device) >= rate
    return (opacities * stays / (1 - rate)).clamp(max=1.0)


def rasterized(
    gaussians: Gaussians,
    view: TrainingView,
    background: Tensor | None,
    opacities: Tensor | None = None,
    offsets: Tensor | None = None,
) -> ops.Rasterization:
    """Render Gaussians through a training view's camera.

    Args:
        opacities: [N] instead of the Gaussians' own.
        offsets: [N, 2] zeros, which receive the view-space gradients.
    """
    return ops.rasterize(
        gaussians.means,
        gaussians.quaternions,
        gaussians.scales,
        gaussians.opacities if opacities is None else opacities,
        gaussians.sh,
        view.world_to_camera,
        view.intrinsics,
        view.width,
        view.height,
        background=background,
        screen_offsets=offsets,
        near=view.near,
    )
