"""Does a photo rule out a surface where a guess puts it?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from recon.scene import View

LOOKED_THROUGH = 0.97
"""A guess nearer than this share of the photo's depth there stands in free space."""
HIDDEN = 1.03
"""A guess farther than this share of the photo's depth there is out of its sight, and may have any colour."""
OTHER_COLOR = 0.2
"""Mean difference (sRGB) from which the photo's pixels, averaged over the guess, show something else."""


@dataclass(frozen=True, eq=False)
class Testimony:
    """What a photo says against points, each [N] bool; all false where a point is outside the picture.

    Attributes:
        looks_through: it sees a surface behind them.
        other_color: it sees their place in another colour.
        beside: it shows an object and nothing else, and they are not on it.
    """

    looks_through: Bool[ndarray, " N"]
    other_color: Bool[ndarray, " N"]
    beside: Bool[ndarray, " N"]

    @property
    def contradicts(self) -> Bool[ndarray, " N"]:
        return self.looks_through | self.other_color | self.beside


def testimony(
    view: View,
    depth: Float[ndarray, "H W"],
    blurred: Float[ndarray, "H W 3"],
    positions: Float[ndarray, "N 3"],
    colors: Float[ndarray, "N 3"],
) -> Testimony:
    """Ask a photo about points that were guessed from another.

    Args:
        depth: of the photo, z; 0 where unknown.
        blurred: the photo, averaged over the size of the points.
        positions: in world coordinates.
        colors: that the points have in the photo they come from, averaged likewise.
    """
    pixels, z = view.camera.project(positions)
    height, width = depth.shape
    inside = (z > 0) & (pixels >= 0).all(axis=1) & (pixels[:, 0] < width) & (pixels[:, 1] < height)
    column, row = (np.where(inside, pixels[:, axis], 0).astype(int) for axis in (0, 1))
    surface = depth[row, column]
    visible = (surface == 0) | (z < HIDDEN * surface)
    differs = np.abs(blurred[row, column] - colors).mean(axis=-1) > OTHER_COLOR
    return Testimony(
        looks_through=inside & (surface > 0) & (z < LOOKED_THROUGH * surface),
        other_color=inside & visible & differs,
        beside=inside & (False if view.cutout is None else ~view.cutout[row, column]),
    )
