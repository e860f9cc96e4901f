"""A lens with one radial distortion coefficient, as pose estimation finds it."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from numpy import ndarray


@dataclass(frozen=True)
class Lens:
    """Intrinsics of a distorted picture: x' = focal * x * (1 + k1 r^2) + cx, r^2 = x^2 + y^2.

    This is COLMAP's SIMPLE_RADIAL and OpenCV's k1.

    Attributes:
        focal, cx, cy: pixels, (0, 0) at the picture's top left corner.
        k1: radial distortion of normalised coordinates.
        width, height: picture size in pixels.
    """

    focal: float
    cx: float
    cy: float
    k1: float
    width: int
    height: int

    @property
    def relative_focal(self) -> float:
        """Focal length over the longest side."""
        return self.focal / max(self.width, self.height)

    def normalize(self, pixels: Float[ndarray, "N 2"]) -> Float[ndarray, "N 2"]:
        """Return undistorted coordinates on the plane z = 1."""
        distorted = (pixels - [self.cx, self.cy]) / self.focal
        if self.k1 == 0.0:
            return distorted
        distorted_radius = np.linalg.norm(distorted, axis=-1, keepdims=True)
        radius = _undistort_radius(distorted_radius, self.k1)
        return distorted * (radius / np.maximum(distorted_radius, 1e-12))

    def to_pixels(self, normalized: Float[ndarray, "N 2"]) -> Float[ndarray, "N 2"]:
        """Return the distorted pixel positions of coordinates on the plane z = 1."""
        factor = 1.0 + self.k1 * (normalized**2).sum(axis=-1, keepdims=True)
        return normalized * factor * self.focal + [self.cx, self.cy]

    def resized(self, width: int, height: int) -> "Lens":
        """Return the lens of the same picture at another size (both sides scaled alike up to rounding)."""
        sx, sy = width / self.width, height / self.height
        return replace(
            self,
            focal=self.focal * (sx + sy) / 2,
            cx=self.cx * sx,
            cy=self.cy * sy,
            width=width,
            height=height,
        )


def _undistort_radius(distorted: ndarray, k1: float) -> ndarray:
    """Solve r (1 + k1 r^2) = distorted by Newton's method, within the part where the left side grows with r."""
    limit = np.inf if k1 >= 0 else 0.999 / np.sqrt(-3.0 * k1)
    radius = np.minimum(distorted, limit)
    for _ in range(20):
        radius = radius - (radius * (1.0 + k1 * radius**2) - distorted) / (1.0 + 3.0 * k1 * radius**2)
        radius = np.clip(radius, 0.0, limit)
    return radius
