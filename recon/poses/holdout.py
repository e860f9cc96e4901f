"""The last check: does a picture rendered at a photo that was left out show what the photo shows?

Feature matches cannot say whether the poses fit the whole picture. A quick reconstruction from the other photos can:
if the left-out camera is wrong, its rendering is shifted against the photo. Each photo is left out in turn, because a
wrong camera shows where it is left out itself, hardly where it is one of many.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from recon.poses.estimate import EstimatedCamera

LEAST_PHOTOS = 4
"""With fewer photos, leaving one out leaves too little to reconstruct from."""

MOST_CHECKED = 8
"""So many photos are left out in turn at most; each costs seconds."""

COMPARED_SIZE = 320
"""Longest side in pixels at which pictures are compared; blur and small artefacts vanish at this size."""

MOST_OFFSET = 0.008
"""Largest median offset over the longest side, two thirds of a degree for a phone's camera. On real photos right
cameras reach 0.004 and a camera turned by one degree is above 0.013 (docs/poses.md, "The last check")."""

LEAST_AGREEMENT = 0.3
"""Least share of the textured, covered picture in which rendering and photo can be matched at all. Below it there is no
verdict: right cameras far apart and wrong ones both get there."""

LEAST_COVERED = 0.2
"""Below this share of textured, covered pixels there is nothing to compare."""

Result = Literal["passed", "failed", "undecided"]

Renderer = Callable[[Sequence[str], str], tuple[Float[ndarray, "H W 3"], Bool[ndarray, "H W"]] | None]
"""Reconstructs from the named photos and renders at the camera of another: (names, left-out name) → sRGB picture of the
photo's shape up to scale, and where the reconstruction covers it; None when nothing can be reconstructed."""


@dataclass(frozen=True)
class HoldoutCheck:
    """The result of rendering at one left-out photo.

    Attributes:
        name: the photo that was left out.
        result: "passed", "failed" (what can be matched is shifted), or "undecided" when too little can be matched.
        offset: median shift between rendering and photo over the picture's longest side; None when nothing matches.
        agreement: share of the textured, covered pixels that can be matched between the two.
        covered: share of the photo's pixels that are textured and covered.
        sentence: for the report.
    """

    name: str
    result: Result
    offset: float | None
    agreement: float
    covered: float
    sentence: str


@dataclass(frozen=True)
class RenderingCheck:
    """The results of all photos that were left out in turn."""

    photos: tuple[HoldoutCheck, ...]

    @property
    def result(self) -> Result:
        """ "failed" if any photo failed, else "passed" if any passed."""
        results = {check.result for check in self.photos}
        return "failed" if "failed" in results else "passed" if "passed" in results else "undecided"

    def sentences(self, result: Result) -> list[str]:
        """Return what to tell about the photos with this result."""
        return [check.sentence for check in self.photos if check.result == result]

    def record(self) -> dict[str, object]:
        """Return plain data for logs."""
        return {"result": self.result, "photos": [asdict(check) for check in self.photos]}


def check_by_rendering(
    cameras: Mapping[str, EstimatedCamera],
    photos: Mapping[str, Float[ndarray, "H W 3"]],
    render: Renderer,
    progress: Callable[[str, float], None] | None = None,
) -> RenderingCheck | None:
    """Leave each photo out in turn, render at its camera, compare; None with fewer than four photos.

    Args:
        cameras: the estimated cameras.
        photos: the undistorted pictures by name, in the shape `render` returns up to scale.
        render: see `Renderer`; called once per photo that is left out.
        progress: called with a sentence and the fraction done.
    """
    if len(cameras) < LEAST_PHOTOS:
        return None
    checks = []
    chosen = choose_holdouts(cameras)
    for number, name in enumerate(chosen):
        if progress:
            progress(f"checking poses: rendering at {name}", number / len(chosen))
        rendered = render([other for other in cameras if other != name], name)
        if rendered is None:
            sentence = f"The check by rendering says nothing about {name}: the others give no reconstruction."
            checks.append(HoldoutCheck(name, "undecided", None, 0.0, 0.0, sentence))
        else:
            picture, covered = rendered
            checks.append(judge_pictures(name, picture, photos[name], covered))
    return RenderingCheck(tuple(checks))


def choose_holdouts(cameras: Mapping[str, EstimatedCamera], count: int = MOST_CHECKED) -> list[str]:
    """Return the photos to leave out: the best surrounded one, then each as far as possible from those chosen."""
    names = list(cameras)
    centers = np.stack([cameras[name].pinhole.center for name in names])
    distance = np.linalg.norm(centers - centers.mean(axis=0), axis=1)
    chosen = [int(distance.argmin())]
    while len(chosen) < min(count, len(names)):
        distance = np.linalg.norm(centers[:, None] - centers[chosen], axis=2).min(axis=1)
        distance[chosen] = -1.0  # two photos may share one place
        chosen.append(int(distance.argmax()))
    return [names[index] for index in chosen]


def judge_pictures(
    name: str,
    rendered: Float[ndarray, "H W 3"],
    photo: Float[ndarray, "H W 3"],
    covered: Bool[ndarray, "H W"] | None = None,
) -> HoldoutCheck:
    """Compare a rendering with the photo it should equal."""
    offset, agreement, compared = picture_offset(rendered, photo, covered)
    known = round(offset, 5) if np.isfinite(offset) else None
    numbers = known, round(agreement, 4), round(compared, 4)
    if compared < LEAST_COVERED:
        sentence = (
            f"The check by rendering says nothing about {name}: the other photos cover too little of it."
        )
        return HoldoutCheck(name, "undecided", *numbers, sentence)
    if agreement < LEAST_AGREEMENT:
        sentence = (
            f"The check by rendering says nothing about {name}: a picture rendered from the others resembles it in "
            f"only {agreement:.0%} of what they show, because it is far from them or its camera is wrong."
        )
        return HoldoutCheck(name, "undecided", *numbers, sentence)
    if offset <= MOST_OFFSET:
        sentence = f"A picture rendered at {name}, which was left out, agrees with the photo."
        return HoldoutCheck(name, "passed", *numbers, sentence)
    sentence = (
        f"A picture rendered at {name}, which was left out, is shifted by {offset:.1%} of its size against the photo "
        f"(at most {MOST_OFFSET:.1%} allowed): its camera, or those around it, are wrong."
    )
    return HoldoutCheck(name, "failed", *numbers, sentence)


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
