"""Depth for every pixel of the photos: the protocol, and stereo with its holes filled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from recon.errors import ReconError
from recon.priors.propagation import propagate
from recon.scene import View
from recon.stereo import DepthMap
from recon.stereo.consistency import floats_in_front
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
    2. Others take it from the trusted pixel that is nearest along paths that avoid the photo's edges.
    3. A guess that another photo looks through is moved back until no photo contradicts it.
    """

    minimum_confidence: float = 0.05

    def __call__(self, views: Sequence[View], stereo: Sequence[DepthMap]) -> list[Float[ndarray, "H W"]]:
        trusted = [
            np.where(known.confidence >= self.minimum_confidence, known.depth, np.float32(0))
            for known in stereo
        ]
        return [self._complete(index, views, trusted) for index in range(len(views))]

    def _complete(
        self, index: int, views: Sequence[View], trusted: Sequence[Float[ndarray, "H W"]]
    ) -> Float[ndarray, "H W"]:
        view, known = views[index], trusted[index]
        allowed = matchable(view)
        if not (known > 0).any():
            raise ReconError(
                f"stereo knows no depth in {view.name}, so there is nothing to fill it from; leave the photo out, or "
                "add photos that show the same place"
            )
        depth = propagate(view.image, known, allowed)
        guessed = allowed & (known == 0)
        others = [other for other in range(len(views)) if other != index]
        return _moved_back(view, depth, guessed, [(views[other], trusted[other]) for other in others])


STEPS_BACK = 12
"""Times a guess is moved back by `STEP_BACK`: at most to 3.1 times its depth, which seldom leaves any in free space."""
STEP_BACK = 1.1


def _moved_back(
    view: View,
    depth: Float[ndarray, "H W"],
    guessed: ndarray,
    others: Sequence[tuple[View, Float[ndarray, "H W"]]],
) -> Float[ndarray, "H W"]:
    """Move guesses that stand in another photo's free space behind what that photo sees."""
    depth = depth.copy()
    for _ in range(STEPS_BACK):
        trial = np.where(guessed, depth, np.float32(0))
        wrong = np.zeros(depth.shape, bool)
        for other, surface in others:
            wrong |= floats_in_front(view.camera, trial, other.camera, surface)
        if not wrong.any():
            break
        depth[wrong] *= STEP_BACK
    return depth
