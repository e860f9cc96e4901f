"""One photo's depth from its sources: plane sweep, then semi-global matching."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from recon import ops
from recon.stereo.consistency import relative_projection
from recon.stereo.normals import inverse_depth_slopes
from recon.stereo.working_view import WorkingView

MIN_WEIGHT_AT_TWO_SOURCES = 0.5
SOURCES_FOR_MEAN = 5
"""With two sources the cost is half the lowest and half the mean (measured); with five, the mean (measured: an
accidental match in one of five sources fools the minimum); in between the weight moves linearly (not measured)."""
DISTINCT = 0.25
"""Relative gap between the best and the second-best summed cost from which a match is fully distinct."""

TEXTURE_WINDOW = 7
TEXTURE_VARIANCE = 4e-5
"""The window of the sweep's correlation and its variance floor, 1.6 grey levels: below it, noise is what matches."""


@dataclass(frozen=True, eq=False)
class RawDepth:
    """A photo's depth before it is checked against the others'.

    Attributes:
        depth: [h, w] float32 z; 0 where the photo is not valid.
        distinctness: [h, w] float32 in [0, 1]; 0 where another depth fits as well.
    """

    depth: Float[ndarray, "h w"]
    distinctness: Float[ndarray, "h w"]

    def doubting(self, before: RawDepth) -> RawDepth:
        """Return the same depth, at most as distinct as the result of the pass before.

        A second pass favours the depths that the first agreed on: its own distinctness partly fulfils itself.
        """
        return RawDepth(self.depth, np.minimum(self.distinctness, before.distinctness))


@dataclass(frozen=True, eq=False)
class PackedSources:
    """The sources of one photo as the kernels take them."""

    pictures: Tensor
    sizes: Tensor
    projections: Tensor


def match(
    reference: WorkingView,
    sources: Sequence[WorkingView],
    depth_range: tuple[float, float],
    planes: int,
    source_depths: Sequence[Float[ndarray, "h w"]] | None = None,
) -> RawDepth:
    """Estimate a photo's depth.

    Args:
        depth_range: near and far z.
        planes: hypotheses, uniform in inverse depth.
        source_depths: trusted depth of each source (0 = unknown): the second pass.
    """
    packed = pack_sources(reference, sources)
    near, far = depth_range
    inverse = torch.linspace(1 / far, 1 / near, planes, dtype=torch.float64)
    volume = ops.plane_sweep(
        ops.pack_colors(torch.from_numpy(reference.image)),
        packed.pictures,
        packed.sizes,
        packed.projections,
        inverse.float(),
        source_depths=None
        if source_depths is None
        else pad([torch.from_numpy(depth) for depth in source_depths]),
        lowest_weight=lowest_weight(len(sources)),
    )
    matching = ops.semi_global_matching(volume, torch.from_numpy(reference.gray))
    step = (1 / near - 1 / far) / (planes - 1)
    depth = 1 / (1 / far + matching.index * step)
    distinctness = ((matching.runner_up / matching.best.clamp(min=1) - 1) / DISTINCT).clamp(0, 1)
    valid = torch.from_numpy(reference.valid)
    return RawDepth((depth * valid).numpy(), (distinctness * valid).numpy() * texture(reference))


def texture(view: WorkingView) -> Float[ndarray, "h w"]:
    """Return 1 where the picture varies enough to be matched, falling to 0 where it is flat.

    Without texture a depth can still look distinct near the frame, where other depths would be out of the sources'
    sight.
    """
    import cv2

    gray = view.gray.astype(np.float32) / 255
    mean, square = (
        cv2.boxFilter(values, -1, (TEXTURE_WINDOW, TEXTURE_WINDOW)) for values in (gray, gray * gray)
    )
    return np.clip((square - mean * mean) / TEXTURE_VARIANCE, 0, 1)


def refine(
    reference: WorkingView, sources: Sequence[WorkingView], raw: RawDepth, depth_range: tuple[float, float]
) -> RawDepth:
    """Turn fronto-parallel depth into slanted planes, for surfaces that sources see under other angles."""
    packed = pack_sources(reference, sources)
    known = raw.depth > 0
    inverse = np.divide(1.0, raw.depth, out=np.zeros(raw.depth.shape), where=known)
    slopes, _ = inverse_depth_slopes(raw.depth)
    planes = ops.refine_planes(
        ops.pack_colors(torch.from_numpy(reference.image)),
        packed.pictures,
        packed.sizes,
        packed.projections,
        torch.from_numpy(inverse).float(),
        torch.from_numpy(slopes).float(),
        focal=reference.camera.fx,
    )
    near, far = depth_range
    refined = planes.inverse_depth.numpy().clip(1 / far, 1 / near)
    depth = np.divide(1.0, refined, out=np.zeros(raw.depth.shape, np.float32), where=known)
    return RawDepth(depth, raw.distinctness)


def lowest_weight(sources: int) -> float:
    """Return how much of the cost over sources is the lowest of them; the rest is their mean."""
    share = (SOURCES_FOR_MEAN - sources) / (SOURCES_FOR_MEAN - 2)
    return MIN_WEIGHT_AT_TWO_SOURCES * min(max(share, 0.0), 1.0)


def pack_sources(reference: WorkingView, sources: Sequence[WorkingView]) -> PackedSources:
    """Pad the sources to a common size and relate their cameras to the reference's."""
    pictures = [ops.pack_colors(torch.from_numpy(s.image), torch.from_numpy(s.valid)) for s in sources]
    sizes = torch.tensor([[s.camera.width, s.camera.height] for s in sources], dtype=torch.int32)
    projections = [relative_projection(reference.camera, s.camera) for s in sources]
    return PackedSources(pad(pictures), sizes, torch.from_numpy(np.stack(projections)).float())


def pad(pictures: Sequence[Tensor]) -> Tensor:
    """Stack pictures of different sizes, filled up with zeros to the right and below."""
    height, width = (max(picture.shape[axis] for picture in pictures) for axis in (0, 1))
    stacked = pictures[0].new_zeros((len(pictures), height, width))
    for target, picture in zip(stacked, pictures, strict=True):
        target[: picture.shape[0], : picture.shape[1]] = picture
    return stacked
