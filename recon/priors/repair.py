"""How a hole in a picture should look: the protocol, and classical inpainting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray


class RepairPrior(Protocol):
    """Invents what no photo shows."""

    def __call__(self, image: Float[ndarray, "H W 3"], hole: Bool[ndarray, "H W"]) -> Float[ndarray, "H W 3"]:
        """Return the picture with its hole filled; pixels outside the hole are not used."""
        ...


@dataclass(frozen=True)
class ClassicalInpainting:
    """Colours continued from the hole's rim (Telea 2004, OpenCV): fit for gaps of a few pixels, a blur for more."""

    radius: float = 5.0

    def __call__(self, image: Float[ndarray, "H W 3"], hole: Bool[ndarray, "H W"]) -> Float[ndarray, "H W 3"]:
        import cv2

        bytes_ = (image.clip(0, 1) * 255).round().astype(np.uint8)
        filled = cv2.inpaint(bytes_, hole.astype(np.uint8), self.radius, cv2.INPAINT_TELEA)
        return np.where(hole[..., None], filled.astype(np.float32) / 255, image)
