"""Make pictures smaller by averaging areas, which neither aliases nor sharpens."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from recon.errors import ReconError


@dataclass(frozen=True)
class PictureSize:
    """How large pictures shall be when they are loaded; never larger than their files.

    Attributes:
        downscale: divide width and height by this (1 keeps the size).
        max_size: then bring the longer side down to this many pixels.
    """

    downscale: float | None = None
    max_size: int | None = None

    def __post_init__(self) -> None:
        if self.downscale is not None and not 1 <= self.downscale < float("inf"):
            raise ReconError(f"the downscale factor must be 1 or more, got {self.downscale}")
        if self.max_size is not None and self.max_size < 1:
            raise ReconError(f"the largest picture side must be 1 pixel or more, got {self.max_size}")

    def of(self, width: int, height: int) -> tuple[int, int]:
        """Return the (width, height) that a picture of the given size gets."""
        factor = self.downscale or 1.0
        if self.max_size is not None:
            factor = max(factor, max(width, height) / self.max_size)
        return max(1, round(width / factor)), max(1, round(height / factor))


def area_average(values: Float[ndarray, "H W *C"], width: int, height: int) -> Float[ndarray, "h w *C"]:
    """Return the picture with every new pixel the mean of the area that it covers.

    Args:
        values: [H, W] or [H, W, C] float32.
        width, height: the new size, at most the old one.

    Raises:
        ValueError: when the new size is larger.
    """
    import cv2

    if (values.shape[1], values.shape[0]) == (width, height):
        return values
    if width > values.shape[1] or height > values.shape[0]:
        raise ValueError(
            f"area_average shrinks only: {values.shape[1]}x{values.shape[0]} to {width}x{height}"
        )
    resized = cv2.resize(np.ascontiguousarray(values), (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(resized).reshape(height, width, *values.shape[2:])
