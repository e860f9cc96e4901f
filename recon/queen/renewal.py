"""Renewal: what has moved is reconstructed anew now and then, because Gaussians that are only bent wear out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int32
from numpy import ndarray
from scipy.spatial import cKDTree
from torch import Tensor
from torch.nn.functional import avg_pool2d

from recon import ops
from recon.losses import PhotometricTerm
from recon.queen.settings import RenewalSettings
from recon.queen.train_frame import Moment, dropped_out, rasterized
from recon.splats import Gaussians
from recon.streaming import Latents, Residual, StreamState, apply_residual, births_of
from recon.streaming.layout import ATTRIBUTES, UNITS, attributes
from recon.streaming.state import attribute_values, morton_order
from recon.train import LearningRates, OptimizedGaussians, TrainingView, ViewSampler

COARSER = {"means": 3, "log_scales": 5, "quaternions": 5, "opacity_logits": 4, "sh_base": 3, "sh_rest": 4}
"""Those who enter are rounded to steps of the grids times two to this power, which cannot be seen and halves their
bytes. The grids are as fine as they are for the sake of small residuals."""


class ChangedPixels:
    """Where the photos of each camera have differed from those of a first moment, at any moment since."""

    def __init__(self, views: Sequence[TrainingView], settings: RenewalSettings) -> None:
        """Start with nothing changed.

        Args:
            views: of the first moment.
        """
        self._settings = settings
        self._first = {view.name: self._smoothed(view) for view in views}
        self._changed = {
            view.name: torch.zeros(view.height, view.width, dtype=torch.bool, device=view.image.device)
            for view in views
        }

    def add(self, views: Sequence[TrainingView]) -> None:
        """Take in a later moment; cameras that the first one lacks are left out."""
        for view in views:
            if view.name in self._first:
                difference = (self._smoothed(view) - self._first[view.name]).abs().amax(dim=2)
                self._changed[view.name] |= difference > self._settings.difference

    def masks(self) -> Mapping[str, Bool[Tensor, "H W"]]:
        """Return what has changed so far, by camera."""
        return self._changed

    def _smoothed(self, view: TrainingView) -> Float[Tensor, "H W 3"]:
        picture = view.image.permute(2, 0, 1)[None]
        return avg_pool2d(picture, self._settings.window, 1, self._settings.window // 2)[0].permute(1, 2, 0)


def renewed(
    state: StreamState,
    residual: Residual,
    fresh: Gaussians,
    now: Moment,
    changed: Mapping[str, Bool[Tensor, "H W"]],
    settings: RenewalSettings,
    pixel_size: float,
    generator: torch.Generator,
) -> Residual:
    """Return the residual with what has changed replaced by its like from a fresh reconstruction of the same moment.

    1. Of the Gaussians that the residual leads to, those leave that mostly drew pixels that have changed.
    2. Of the fresh ones, those enter that mostly draw such pixels.
    3. Those who enter are trained for a while among those who stay, who keep still.
    4. What the residual says of those that leave is left out.

    Whatever draws the still part of the scene keeps its bits, and no photo's noise is spent on it.

    Args:
        state: of the frame before.
        residual: what leads from it to this frame.
        fresh: this frame's moment, reconstructed on its own.
        now: this moment.
        changed: pixels by camera, since the last renewal or frame 0.
        pixel_size: world size of a pixel at the median depth.
    """
    after = state.copy()
    apply_residual(after, replace(residual, removed=residual.removed[:0], births=None))
    old = after.gaussians().to(now.views[0].image.device)
    leaving = (share_within(old, now.views, changed) > settings.share).cpu().numpy()
    leaving[residual.removed] = True
    entering = _in_file_order(fresh[share_within(fresh, now.views, changed) > settings.share], state)
    if len(entering) == 0 or len(state) - int(leaving.sum()) + len(entering) < state.anchor_count:
        return residual
    staying = old[torch.from_numpy(~leaving).to(old.means.device)]
    values = attribute_values(_fitted(entering, staying, now, settings, pixel_size, generator))
    for one in attributes(state.degree):
        step = state.step(one) * 2.0 ** COARSER[one.name]
        values[one.name] = step * np.rint(values[one.name] / step)
    anchors = None if after.anchors is None else _nearest_anchors(after, values["means"])
    births = births_of(values, state, anchors=anchors)
    kept = _without_rows(residual, leaving)
    return replace(kept, removed=np.flatnonzero(leaving).astype(np.int32), births=births)


def share_within(
    gaussians: Gaussians, views: Sequence[TrainingView], masks: Mapping[str, Bool[Tensor, "H W"]]
) -> Float[Tensor, " N"]:
    """Return how much of what each Gaussian draws over all views lies within masks, 0 to 1; 0 for what draws nothing.

    What it draws is its blending weight, summed over pixels: the gradient of the picture with respect to its colour.
    """
    colors = torch.zeros(len(gaussians), 1, 3, device=gaussians.means.device, requires_grad=True)
    for view in views:
        if view.name not in masks:
            continue
        picture = ops.rasterize(
            gaussians.means.detach(),
            gaussians.quaternions.detach(),
            gaussians.scales.detach(),
            gaussians.opacities.detach(),
            colors,
            view.world_to_camera,
            view.intrinsics,
            view.width,
            view.height,
            near=view.near,
        ).color
        (picture[..., 0].sum() + (picture[..., 1] * masks[view.name]).sum()).backward()
    if colors.grad is None:
        return colors.new_zeros(len(gaussians))
    drawn, within = colors.grad[:, 0, 0], colors.grad[:, 0, 1]
    return within / drawn.clamp(min=torch.finfo(drawn.dtype).tiny)


def _in_file_order(gaussians: Gaussians, state: StreamState) -> Gaussians:
    """Return those within reach of the state's grid along the Morton curve, where neighbours differ little."""
    gaussians = gaussians.detach().to("cpu")
    units = np.rint(gaussians.means.double().numpy() / state.step(ATTRIBUTES[0]))
    reached = np.flatnonzero((np.abs(units) < UNITS).all(axis=1))
    order = morton_order(units[reached].astype(np.int32)) if len(reached) else reached
    return gaussians[torch.from_numpy(reached[order])]


def _fitted(
    entering: Gaussians,
    staying: Gaussians,
    now: Moment,
    settings: RenewalSettings,
    pixel_size: float,
    generator: torch.Generator,
) -> Gaussians:
    """Train those who enter, with steps as in the middle of a reconstruction."""
    optimized = OptimizedGaussians(entering.to(staying.means.device), LearningRates(), pixel_size)
    sampler, loss = ViewSampler(now.views, generator), PhotometricTerm()
    for iteration in range(settings.iterations):
        view = sampler.next(iteration, 0)
        everyone = Gaussians.concatenate([staying, optimized.gaussians])
        opacities = dropped_out(everyone.opacities, settings.dropout, generator)
        picture = rasterized(everyone, view, now.background, opacities)
        loss(picture, view, iteration / settings.iterations).backward()
        optimized.step(progress=0.5, visible=None)
    return optimized.gaussians.detach()


def _nearest_anchors(state: StreamState, places: Float[ndarray, "B 3"]) -> Int32[ndarray, " B"]:
    """Return the anchor of the Gaussian that lies nearest to each place."""
    assert state.anchors is not None
    nearest = cKDTree(state.arrays["means"]).query(places)[1]
    return np.ascontiguousarray(state.anchors[nearest])


def _without_rows(residual: Residual, leaving: Bool[ndarray, " N"]) -> Residual:
    """Return the residual without what it says of rows that leave."""
    stays = ~leaving[residual.gated]
    latents = {}
    for index, one in residual.latents.items():
        kept = ~leaving[one.rows]
        if kept.any():
            codes = np.ascontiguousarray(one.codes[kept])
            latents[index] = Latents(one.rows[kept], codes, int(np.abs(codes).max()))
    return replace(
        residual, gated=residual.gated[stays], positions=residual.positions[stays], latents=latents
    )
