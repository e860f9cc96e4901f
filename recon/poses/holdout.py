"""The last check: does a picture rendered at a photo that was left out show what the photo shows?

Feature matches cannot say whether the poses fit the whole picture. A quick reconstruction from the other photos can: if
the left-out camera is wrong, its rendering is shifted against the photo.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from recon.poses.estimate import EstimatedCamera

LEAST_PHOTOS = 4
"""With fewer photos, leaving one out leaves too little to reconstruct from."""

COMPARED_SIZE = 320
"""Longest side in pixels at which pictures are compared; blur and small artefacts vanish at this size."""

MOST_OFFSET = 0.015
"""Largest median offset over the longest side: about one degree for a phone's camera (50 degrees wide)."""

LEAST_AGREEMENT = 0.3
"""Least share of the textured, covered picture in which rendering and photo can be matched at all."""

LEAST_COVERED = 0.2
"""Below this share of textured, covered pixels there is nothing to compare."""

Renderer = Callable[[Sequence[str], str], tuple[Float[ndarray, "H W 3"], Bool[ndarray, "H W"]]]
"""Reconstructs from the named photos and renders at the camera of another: (names, left-out name) → sRGB picture of the
photo's shape up to scale, and where the reconstruction covers it."""


@dataclass(frozen=True)
class HoldoutCheck:
    """The result of rendering at a left-out photo.

    Attributes:
        name: the photo that was left out.
        result: "passed", "failed", or "undecided" when too little of the picture could be compared.
        offset: median shift between rendering and photo over the picture's longest side.
        agreement: share of the textured, covered pixels that can be matched between the two.
        sentence: for the report.
    """

    name: str
    result: Literal["passed", "failed", "undecided"]
    offset: float
    agreement: float
    sentence: str


def check_by_rendering(
    cameras: Mapping[str, EstimatedCamera], photos: Mapping[str, Float[ndarray, "H W 3"]], render: Renderer
) -> HoldoutCheck | None:
    """Leave one photo out, render at its camera, compare; None with fewer than four photos.

    Args:
        cameras: the estimated cameras.
        photos: the undistorted pictures by name, in the shape `render` returns up to scale.
        render: see `Renderer`; called once.
    """
    if len(cameras) < LEAST_PHOTOS:
        return None
    name = choose_holdout(cameras)
    rendered, covered = render([other for other in cameras if other != name], name)
    return judge_pictures(name, rendered, photos[name], covered)


def choose_holdout(cameras: Mapping[str, EstimatedCamera]) -> str:
    """Return the photo best surrounded by the others: the camera nearest to the mean of all."""
    centers = {name: camera.pinhole.center for name, camera in cameras.items()}
    mean = np.mean(list(centers.values()), axis=0)
    return min(centers, key=lambda name: float(np.linalg.norm(centers[name] - mean)))


def judge_pictures(
    name: str,
    rendered: Float[ndarray, "H W 3"],
    photo: Float[ndarray, "H W 3"],
    covered: Bool[ndarray, "H W"] | None = None,
) -> HoldoutCheck:
    """Compare a rendering with the photo it should equal."""
    offset, agreement, compared = picture_offset(rendered, photo, covered)
    if compared < LEAST_COVERED:
        sentence = (
            f"The check by rendering says nothing: too little of {name} is covered by the other photos."
        )
        return HoldoutCheck(name, "undecided", offset, agreement, sentence)
    if agreement >= LEAST_AGREEMENT and offset <= MOST_OFFSET:
        sentence = f"A picture rendered at {name}, which was left out, agrees with the photo."
        return HoldoutCheck(name, "passed", offset, agreement, sentence)
    what = (
        f"is shifted by {offset:.1%} of its size (at most {MOST_OFFSET:.1%} allowed)"
        if agreement >= LEAST_AGREEMENT
        else f"resembles the photo in only {agreement:.0%} of the picture"
    )
    sentence = f"A picture rendered at {name}, which was left out, {what}: its camera may be wrong."
    return HoldoutCheck(name, "failed", offset, agreement, sentence)


def picture_offset(
    rendered: Float[ndarray, "H W 3"],
    photo: Float[ndarray, "H W 3"],
    covered: Bool[ndarray, "H W"] | None = None,
) -> tuple[float, float, float]:
    """Measure by optical flow how far a rendering is shifted against a photo.

    Returns:
        The median shift over the longest side (infinite when nothing matches), the share of the compared pixels where
        forward and backward flow agree and the warped pictures correlate, and the share of pixels compared: those that
        are covered and have texture in the photo.
    """
    import cv2

    height, width = photo.shape[:2]
    scale = min(1.0, COMPARED_SIZE / max(height, width))
    size = (max(16, round(width * scale)), max(16, round(height * scale)))
    target, source = _gray(photo, size), _gray(rendered, size)
    compared = _local_deviation(target.astype(np.float32)) > 3.0  # of 255: anything above noise
    if covered is not None:
        compared &= cv2.resize(covered.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    share = float(compared.mean())
    if share == 0.0:
        return float("inf"), 0.0, 0.0
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    still = np.zeros((*target.shape, 2), dtype=np.float32)
    forward, backward = flow.calc(target, source, still.copy()), flow.calc(source, target, still.copy())
    x, y = np.meshgrid(np.arange(size[0], dtype=np.float32), np.arange(size[1], dtype=np.float32))
    map_x, map_y = x + forward[..., 0], y + forward[..., 1]
    returned = cv2.remap(
        backward, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=1e6
    )
    consistent = np.linalg.norm(forward + returned, axis=2) < 1.0
    warped = cv2.remap(source, map_x, map_y, cv2.INTER_LINEAR)
    alike = _local_correlation(target.astype(np.float32), warped.astype(np.float32)) > 0.5
    agreeing = compared & consistent & alike
    if not agreeing.any():
        return float("inf"), 0.0, share
    offset = float(np.median(np.linalg.norm(forward[agreeing], axis=1))) / max(size)
    return offset, float(agreeing.sum() / compared.sum()), share


def _gray(image: Float[ndarray, "H W 3"], size: tuple[int, int]) -> ndarray:
    import cv2

    pixels = (np.clip(image, 0.0, 1.0) * 255.0).astype(np.uint8)
    return cv2.cvtColor(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)


def _local_deviation(gray: ndarray) -> ndarray:
    return np.sqrt(np.maximum(_mean(gray * gray) - _mean(gray) ** 2, 0.0))


def _local_correlation(a: ndarray, b: ndarray) -> ndarray:
    """Return the zero-mean normalised cross-correlation of 9x9 windows."""
    covariance = _mean(a * b) - _mean(a) * _mean(b)
    return covariance / (_local_deviation(a) * _local_deviation(b) + 1.0)


def _mean(values: ndarray) -> ndarray:
    import cv2

    return cv2.blur(values, (9, 9))
