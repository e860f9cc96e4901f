"""The depth of one photo."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Bool, Float
from numpy import ndarray


@dataclass(frozen=True, eq=False)
class DepthMap:
    """What stereo knows of one photo, at the photo's size.

    Attributes:
        depth: [H, W] float32, z in scene units; 0 = unknown.
        confidence: [H, W] float32 in [0, 1]; 0 where depth is unknown. Grows with the distinctness of the match and
            with the number of other photos whose own depth agrees; filled pixels have at most half of their
            neighbour's.
        normal: [H, W, 3] float32, unit, in camera axes, facing the camera; 0 where depth is unknown.
        filled: [H, W] bool, true where depth was taken from a neighbouring pixel instead of being matched.
        stride: side of a pixel of the size at which the photo was matched, in pixels of the photo. Gaps and errors are
            of so many pixels that were matched, whatever the size of the photo.
    """

    depth: Float[ndarray, "H W"]
    confidence: Float[ndarray, "H W"]
    normal: Float[ndarray, "H W 3"]
    filled: Bool[ndarray, "H W"]
    stride: float = 1.0
