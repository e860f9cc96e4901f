"""Does a photo rule out a surface where a guess puts it?"""

from __future__ import annotations

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


def contradicted(
    view: View,
    depth: Float[ndarray, "H W"],
    blurred: Float[ndarray, "H W 3"],
    positions: Float[ndarray, "N 3"],
    colors: Float[ndarray, "N 3"],
) -> Bool[ndarray, " N"]:
    """Tell which points a photo does not allow where they are: it looks through them, shows another colour there, or
    shows them beside an object that it shows nothing else of.

    Args:
        depth: of the photo, z; 0 where unknown.
        blurred: the photo, averaged over the size of the points.
        positions: in world coordinates; those outside the picture are allowed.
        colors: that the points have in the photo they come from.
    """
    pixels, z = view.camera.project(positions)
    height, width = depth.shape
    inside = (z > 0) & (pixels >= 0).all(axis=1) & (pixels[:, 0] < width) & (pixels[:, 1] < height)
    column, row = (np.where(inside, pixels[:, axis], 0).astype(int) for axis in (0, 1))
    surface = depth[row, column]
    looks_through = (surface > 0) & (z < LOOKED_THROUGH * surface)
    visible = (surface == 0) | (z < HIDDEN * surface)
    other_color = visible & (np.abs(blurred[row, column] - colors).mean(axis=-1) > OTHER_COLOR)
    beside = False if view.cutout is None else ~view.cutout[row, column]
    return inside & (looks_through | other_color | beside)
