"""Depth for every pixel of the photos: the protocol, and stereo with its holes filled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from recon.errors import ReconError
from recon.scene import View
from recon.stereo import DepthMap, fuse_points
from recon.stereo.continuation import continued_depth, joined
from recon.stereo.contradiction import testimony
from recon.stereo.propagation import propagate
from recon.stereo.working_view import matchable


class DepthPrior(Protocol):
    """Says how far away everything in the photos is."""

    def __call__(self, views: Sequence[View], stereo: Sequence[DepthMap]) -> list[Float[ndarray, "H W"]]:
        """Return depth (z, scene units) of each photo's pixels; above zero wherever the photo shows the world.

        Args:
            stereo: one depth map per view (`recon.stereo.estimate_depth`).
        """
        ...


@dataclass(frozen=True)
class StereoDepth:
    """Stereo depth where it is trusted; elsewhere what the photo's edges suggest.

    1. Pixels of at least `minimum_confidence` keep their depth.
    2. Large planes go on where stereo knows nothing (`recon.stereo.continuation`), and are then trusted as well.
    3. Others take it from the trusted pixel that is nearest along paths that avoid the photo's edges.
    4. A guess that another photo looks through, or shows in another colour, is moved back until none contradicts it.
    """

    minimum_confidence: float = 0.05

    def __call__(self, views: Sequence[View], stereo: Sequence[DepthMap]) -> list[Float[ndarray, "H W"]]:
        certain = [
            replace(depth, depth=np.where(depth.confidence >= self.minimum_confidence, depth.depth, 0))
            for depth in stereo
        ]
        for view, depth in zip(views, certain, strict=True):
            if not (depth.depth > 0).any():
                raise ReconError(
                    f"stereo knows no depth in {view.name}, so there is nothing to fill it from; leave the photo out, "
                    "or add photos that show the same place"
                )
        cell = max(1, round(CONTINUATION_CELL * max(depth.stride for depth in stereo)))
        guesses = continued_depth(views, certain, fuse_points(views, certain, merge=True), cell)
        trusted = [joined(depth, guess).depth for depth, guess in zip(certain, guesses, strict=True)]
        return [self._complete(index, views, trusted) for index in range(len(views))]

    def _complete(
        self, index: int, views: Sequence[View], trusted: Sequence[Float[ndarray, "H W"]]
    ) -> Float[ndarray, "H W"]:
        view, known = views[index], trusted[index]
        allowed = matchable(view)
        depth = propagate(view.image, known, allowed)
        guessed = allowed & (known == 0)
        others = [other for other in range(len(views)) if other != index]
        return _moved_back(view, depth, guessed, [(views[other], trusted[other]) for other in others])


CONTINUATION_CELL = 3
"""Planes go on in squares of this side, in pixels of the size at which stereo matched."""
STEPS_BACK = (1.0, 1.1, 1.21, 1.33, 1.46, 1.61, 1.95, 2.36)
"""A guess that another photo contradicts is tried at these multiples of its depth."""
COLOR_WINDOW = 5
"""Pixels; colours are compared after averaging over this window, so that a small displacement does not matter."""


def _moved_back(
    view: View,
    depth: Float[ndarray, "H W"],
    guessed: Bool[ndarray, "H W"],
    others: Sequence[tuple[View, Float[ndarray, "H W"]]],
) -> Float[ndarray, "H W"]:
    """Move guesses back to where no photo looks through them and none shows another colour there.

    A guess that fits nowhere goes to the first place that is neither in another photo's free space nor beside the
    object that it shows alone, or stays.
    """
    import cv2

    def blurred(image: Float[ndarray, "H W 3"]) -> Float[ndarray, "H W 3"]:
        return cv2.blur(image, (COLOR_WINDOW, COLOR_WINDOW))

    own = blurred(view.image)
    there = [(other, surface, blurred(other.image)) for other, surface in others]
    result, allowed = depth.copy(), np.zeros(depth.shape, bool)
    row, column = np.nonzero(guessed)
    for factor in STEPS_BACK:
        trial = depth[row, column] * np.float32(factor)
        positions = view.camera.unproject(np.stack([column + 0.5, row + 0.5], axis=-1), trial)
        impossible, different = np.zeros(len(row), bool), np.zeros(len(row), bool)
        for other, surface, image in there:
            said = testimony(other, surface, image, positions, own[row, column])
            impossible |= said.looks_through | said.beside
            different |= said.other_color
        fits = ~impossible & ~different
        settle = ~impossible & (fits | ~allowed[row, column])
        result[row[settle], column[settle]] = trial[settle]
        allowed[row[settle], column[settle]] = True
        row, column = row[~fits], column[~fits]
        if len(row) == 0:
            break
    return result
