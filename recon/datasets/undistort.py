"""Lens distortion, removed once when a picture is loaded."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from recon.scene import Camera


@dataclass(frozen=True)
class Distortion:
    """A lens's distortion in OpenCV's terms.

    Attributes:
        model: "perspective" (radial, tangential, rational) or "fisheye" (polynomial of the angle).
        coefficients: (k1, k2, p1, p2[, k3[, k4, k5, k6]]) or (k1, k2, k3, k4).

    Source: OpenCV, camera calibration; Kannala and Brandt 2006 for the fisheye model.
    """

    model: Literal["perspective", "fisheye"]
    coefficients: tuple[float, ...]

    @property
    def is_none(self) -> bool:
        """Whether the lens is a plain pinhole (a fisheye lens never is: its angles follow another law)."""
        return self.model == "perspective" and not any(self.coefficients)

    def apply(self, points: Float[ndarray, "*n 2"]) -> Float[ndarray, "*n 2"]:
        """Return where the lens puts ideal image points, both as (x/z, y/z)."""
        x, y = points[..., 0], points[..., 1]
        if self.model == "fisheye":
            radius = np.hypot(x, y)
            scale = _ratio(self.radial(radius), radius)
            return points * scale[..., None]
        _, _, p1, p2, *_ = self._eight
        radius_squared = x * x + y * y
        radius = np.sqrt(radius_squared)
        radial = _ratio(self.radial(radius), radius)
        return np.stack(
            [
                x * radial + 2 * p1 * x * y + p2 * (radius_squared + 2 * x * x),
                y * radial + p1 * (radius_squared + 2 * y * y) + 2 * p2 * x * y,
            ],
            axis=-1,
        )

    def radial(self, radius: Float[ndarray, "*n"]) -> Float[ndarray, "*n"]:
        """Return the distorted radius of an ideal radius (tan of the angle from the axis)."""
        if self.model == "fisheye":
            k1, k2, k3, k4 = self.coefficients
            angle = np.arctan(radius)
            s = angle * angle
            return angle * (1 + s * (k1 + s * (k2 + s * (k3 + s * k4))))
        k1, k2, _, _, k3, k4, k5, k6 = self._eight
        s = radius * radius
        return radius * (1 + s * (k1 + s * (k2 + s * k3))) / (1 + s * (k4 + s * (k5 + s * k6)))

    @property
    def _eight(self) -> tuple[float, ...]:
        return (*self.coefficients, *(0.0,) * (8 - len(self.coefficients)))


NO_DISTORTION = Distortion("perspective", (0.0, 0.0, 0.0, 0.0))


def undistort(
    values: Float[ndarray, "H W *C"], camera: Camera, distortion: Distortion
) -> tuple[Float[ndarray, "H W *C"], Bool[ndarray, "H W"] | None]:
    """Return the picture that a pinhole camera with the same intrinsics and size would have taken.

    Args:
        values: [H, W] or [H, W, C] float32 in [0, 1], as the lens took it.
        camera: intrinsics of the picture as stored; its pose is not used.

    Returns:
        The picture, zero where the lens saw nothing; and which pixels it did see (None when all of them).
    """
    import cv2

    if distortion.is_none:
        return values, None
    if values.shape[:2] != (camera.height, camera.width):
        raise ValueError(f"expected a picture of {camera.width}x{camera.height}, got shape {values.shape}")
    map_x, map_y, valid = _source_positions(
        camera.fx, camera.fy, camera.cx, camera.cy, camera.width, camera.height, distortion
    )
    straight = cv2.remap(values, map_x, map_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    straight = np.clip(straight, 0.0, 1.0).astype(np.float32, copy=False)  # cubic weights overshoot at edges
    if valid.all():
        return straight, None
    straight[~valid] = 0.0
    return straight, valid


@lru_cache(maxsize=2)  # photos of one folder mostly share one camera
def _source_positions(
    fx: float, fy: float, cx: float, cy: float, width: int, height: int, distortion: Distortion
) -> tuple[Float[ndarray, "H W"], Float[ndarray, "H W"], Bool[ndarray, "H W"]]:
    camera = Camera(np.eye(4), fx, fy, cx, cy, width, height)
    ideal = (camera.pixel_centers() - [cx, cy]) / [fx, fy]
    source = distortion.apply(ideal) * [fx, fy] + [cx, cy]
    inside = (source >= 0).all(axis=-1) & (source[..., 0] <= width) & (source[..., 1] <= height)
    valid = inside & (np.linalg.norm(ideal, axis=-1) < _monotonic_radius(distortion, ideal))
    source = np.where(np.isfinite(source), source, -1e6) - 0.5  # OpenCV counts from the first pixel's centre
    source = np.clip(source, -1e6, 1e6)
    return source[..., 0].astype(np.float32), source[..., 1].astype(np.float32), valid


def _monotonic_radius(distortion: Distortion, ideal: Float[ndarray, "H W 2"]) -> float:
    """Return the ideal radius beyond which the polynomial folds back and shows picture content twice."""
    radius = np.linspace(0.0, float(np.linalg.norm(ideal, axis=-1).max()), 4096)
    falling = np.flatnonzero(np.diff(distortion.radial(radius)) <= 0)
    return float(radius[falling[0]]) if len(falling) else float("inf")


def _ratio(numerator: ndarray, denominator: ndarray) -> ndarray:
    """Divide, with the limit 1 at the optical axis."""
    return np.divide(numerator, denominator, out=np.ones_like(numerator), where=denominator > 1e-12)
