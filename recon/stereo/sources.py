"""Which photos each photo is matched against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from recon.scene import Camera

MIN_OVERLAP = 0.08
"""Share of a photo's view volume that a source must see."""
MIN_ANGLE = 0.3
"""Below this mean angle (degrees) between the rays of two photos there is no parallax to measure."""
GOOD_ANGLE = 5.0
FADING_ANGLE = 25.0
"""Sources are worth less outside [GOOD_ANGLE, FADING_ANGLE]: too little parallax, or too different an appearance.
Ours, in the spirit of the view selection of Schoenberger et al. 2016 (section 4.2)."""


@dataclass(frozen=True)
class Source:
    """A photo to match against.

    Attributes:
        index: position among the photos.
        overlap: share of the reference's view volume that it sees.
        angle: median angle between the two photos' rays to that volume, in degrees.
    """

    index: int
    overlap: float
    angle: float

    @property
    def score(self) -> float:
        too_near = min(self.angle / GOOD_ANGLE, 1.0)
        too_far = min(FADING_ANGLE / max(self.angle, 1e-6), 1.0)
        return self.overlap * too_near * too_far


def select_sources(
    cameras: Sequence[Camera], ranges: Sequence[tuple[float, float]], max_sources: int
) -> list[list[Source]]:
    """Return each photo's best sources, best first; empty for a photo that shares nothing with another."""
    chosen = []
    for index, camera in enumerate(cameras):
        samples = _view_volume(camera, *ranges[index])
        candidates = [
            _compare(camera, other, samples, number)
            for number, other in enumerate(cameras)
            if number != index
        ]
        usable = [s for s in candidates if s.overlap >= MIN_OVERLAP and s.angle >= MIN_ANGLE]
        chosen.append(sorted(usable, key=lambda source: -source.score)[:max_sources])
    return chosen


def _compare(camera: Camera, other: Camera, samples: Float[ndarray, "N 3"], number: int) -> Source:
    pixels, z = other.project(samples)
    seen = (z > 0) & (pixels > 0).all(axis=1) & (pixels < [other.width, other.height]).all(axis=1)
    if not seen.any():
        return Source(number, 0.0, 0.0)
    a, b = samples[seen] - camera.center, samples[seen] - other.center
    cosine = (a * b).sum(axis=1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))
    return Source(number, float(seen.mean()), float(np.degrees(np.median(np.arccos(cosine.clip(-1, 1))))))


def _view_volume(camera: Camera, near: float, far: float) -> Float[ndarray, "N 3"]:
    """Return points spread over the picture and, evenly in inverse depth, over the range."""
    x, y, inverse = np.meshgrid(
        (np.arange(8) + 0.5) / 8 * camera.width,
        (np.arange(6) + 0.5) / 6 * camera.height,
        np.linspace(1 / near, 1 / far, 8),
    )
    return camera.unproject(np.stack([x.ravel(), y.ravel()], axis=1), 1 / inverse.ravel())
