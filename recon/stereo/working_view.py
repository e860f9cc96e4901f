"""A photo at the size at which it is matched."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8
from numpy import ndarray

from recon.scene import Camera, View

MARGIN_EROSION = 3
"""Pixels dropped along invalid margins: the radius of the largest matching window, so that none touches a margin.
Undistorted photos' black margins match one another perfectly and would give confident wrong depth."""

OUTLINE = 2
"""Pixels by which an object's outline may be off: the reprojection error that consistency allows."""


@dataclass(frozen=True, eq=False)
class WorkingView:
    """A photo resampled for matching.

    Attributes:
        name: the photo's name.
        camera: for the resampled picture.
        image: [h, w, 3] float32 sRGB in [0, 1].
        valid: [h, w] bool, pixels that may be matched.
        cutout: [h, w] bool, the object and a rim around it where there is nothing else in the picture; else None.
    """

    name: str
    camera: Camera
    image: Float[ndarray, "h w 3"]
    valid: Bool[ndarray, "h w"]
    cutout: Bool[ndarray, "h w"] | None = None

    @property
    def gray(self) -> UInt8[ndarray, "h w"]:
        luma = self.image @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
        return np.clip(np.rint(luma * 255), 0, 255).astype(np.uint8)


def working_view(view: View, max_pixels: int) -> WorkingView:
    """Resample a photo to at most `max_pixels` pixels and find where it may be matched."""
    import cv2

    camera = view.camera
    scale = min(1.0, float(np.sqrt(max_pixels / (camera.width * camera.height))))
    width, height = max(2, round(camera.width * scale)), max(2, round(camera.height * scale))
    image, valid = view.image, matchable(view)
    if (width, height) != (camera.width, camera.height):
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        valid = cv2.resize(valid.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA) > 0.999
    if view.valid is not None:
        kernel = np.ones((2 * MARGIN_EROSION + 1,) * 2, np.uint8)
        valid = cv2.erode(valid.astype(np.uint8), kernel, borderType=cv2.BORDER_REPLICATE) > 0
    cutout = None
    if view.cutout is not None:
        shrunk = cv2.resize(view.cutout.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
        cutout = cv2.dilate(shrunk, np.ones((2 * OUTLINE + 1,) * 2, np.uint8)) > 0
    return WorkingView(view.name, camera.resized(width, height), np.ascontiguousarray(image), valid, cutout)


def matchable(view: View) -> Bool[ndarray, "H W"]:
    """Return the pixels that hold a picture of the world: not undistortion's margins, nor what surrounds a cut-out."""
    valid = np.ones((view.camera.height, view.camera.width), dtype=bool)
    if view.valid is not None:
        valid &= view.valid
    if view.cutout is not None:
        valid &= view.cutout
    return valid
