"""SIFT matches triangulated with the given poses: few points, but safe ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from recon.scene import View
from recon.stereo.working_view import WorkingView, working_view

FEATURES = 4000
RATIO = 0.85
"""Nearest over second-nearest descriptor distance (Lowe 2004, section 7.1, uses 0.8; the epipolar test allows more)."""
EPIPOLAR_PIXELS = 1.0
"""A match must lie this near to both epipolar lines: the poses are given, so this test is strict."""
MIN_ANGLE = 0.5
"""Rays must meet at this angle at least, in degrees: below it, a pixel of error moves a point by much of its depth."""
MATCHING_PIXELS = 1_000_000


@dataclass(frozen=True, eq=False)
class TriangulatedMatches:
    """Points that two photos each show.

    Attributes:
        positions: [N, 3] float64, world coordinates.
        colors: [N, 3] float32 sRGB in [0, 1].
        views: [N, 2] indices of the two photos.
    """

    positions: Float[ndarray, "N 3"]
    colors: Float[ndarray, "N 3"]
    views: Int[ndarray, "N 2"]

    def __len__(self) -> int:
        return len(self.positions)

    def seen_by(self, view: int) -> Float[ndarray, "M 3"]:
        """Return the points that a photo shows."""
        return self.positions[(self.views == view).any(axis=1)]


def triangulate_matches(views: Sequence[View]) -> TriangulatedMatches:
    """Match SIFT features between all pairs of posed photos and triangulate them.

    A match is kept when it is mutual, passes the ratio test, lies within a pixel of both epipolar lines and its point
    is in front of both cameras.
    """
    return match_working_views([working_view(view, MATCHING_PIXELS) for view in views])


def match_working_views(views: Sequence[WorkingView]) -> TriangulatedMatches:
    """`triangulate_matches` for photos that are already resampled."""
    features = [_features(view) for view in views]
    positions, colors, pairs = (
        [np.zeros((0, 3))],
        [np.zeros((0, 3), np.float32)],
        [np.zeros((0, 2), np.int64)],
    )
    for i, j in combinations(range(len(views)), 2):
        first, second = _mutual_matches(features[i][1], features[j][1])
        x, y = features[i][0][first], features[j][0][second]
        points, good = _triangulate(views[i], views[j], x, y)
        positions.append(points[good])
        column, row = (x[good] - 0.5).round().astype(int).T
        image = views[i].image
        colors.append(image[row.clip(0, image.shape[0] - 1), column.clip(0, image.shape[1] - 1)])
        pairs.append(np.tile([i, j], (int(good.sum()), 1)))
    return TriangulatedMatches(np.concatenate(positions), np.concatenate(colors), np.concatenate(pairs))


def _features(view: WorkingView) -> tuple[Float[ndarray, "N 2"], Float[ndarray, "N 128"]]:
    """Return positions in pixels and RootSIFT descriptors (Arandjelovic & Zisserman 2012)."""
    import cv2

    detector = cv2.SIFT.create(nfeatures=FEATURES)
    keypoints, descriptors = detector.detectAndCompute(view.gray, view.valid.astype(np.uint8) * 255)
    if descriptors is None:
        return np.zeros((0, 2)), np.zeros((0, 128), np.float32)
    # OpenCV counts pixel centres from 0.
    positions = np.array([keypoint.pt for keypoint in keypoints], dtype=np.float64) + 0.5
    descriptors = np.sqrt(descriptors / np.maximum(descriptors.sum(axis=1, keepdims=True), 1e-9))
    return positions, descriptors


def _mutual_matches(
    first: Float[ndarray, "N 128"], second: Float[ndarray, "M 128"]
) -> tuple[Int[ndarray, " K"], Int[ndarray, " K"]]:
    """Return indices of mutual nearest neighbours that pass the ratio test from both sides."""
    if len(first) < 2 or len(second) < 2:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    distance = np.sqrt(np.maximum(2.0 - 2.0 * (first @ second.T), 0.0))  # descriptors have unit length
    forward, backward = distance.argmin(axis=1), distance.argmin(axis=0)
    index = np.arange(len(first))
    two_forward = np.partition(distance, 1, axis=1)[:, :2]
    two_backward = np.partition(distance, 1, axis=0)[:2].T
    distinct = (two_forward[:, 0] < RATIO * two_forward[:, 1])[index]
    distinct &= (two_backward[:, 0] < RATIO * two_backward[:, 1])[forward]
    mutual = (backward[forward] == index) & distinct
    return index[mutual], forward[mutual]


def _triangulate(
    first: WorkingView, second: WorkingView, x: Float[ndarray, "N 2"], y: Float[ndarray, "N 2"]
) -> tuple[Float[ndarray, "N 3"], ndarray]:
    """Return the midpoints of the rays' closest approach, and which of them can be trusted."""
    if len(x) == 0:
        return np.zeros((0, 3)), np.zeros(0, dtype=bool)
    a, b = _rays(first, x), _rays(second, y)
    start, other = first.camera.center, second.camera.center
    offset = other - start
    cosine = (a * b).sum(axis=1)
    sine_squared = np.maximum(1.0 - cosine**2, 1e-12)
    along_a, along_b = a @ offset, b @ offset
    s = (along_a - cosine * along_b) / sine_squared
    t = (cosine * along_a - along_b) / sine_squared
    points = 0.5 * (start + a * s[:, None] + other + b * t[:, None])
    good = (s > 0) & (t > 0) & (sine_squared > np.sin(np.radians(MIN_ANGLE)) ** 2)
    for view, pixels in ((first, x), (second, y)):
        projected, z = view.camera.project(points)
        # The midpoint splits the distance between the rays: half the epipolar distance to each.
        good &= (z > 0) & (np.linalg.norm(projected - pixels, axis=1) < EPIPOLAR_PIXELS)
    return points, good


def _rays(view: WorkingView, pixels: Float[ndarray, "N 2"]) -> Float[ndarray, "N 3"]:
    """Return unit ray directions in world axes."""
    directions = view.camera.unproject(pixels, np.ones(len(pixels))) - view.camera.center
    return directions / np.linalg.norm(directions, axis=1, keepdims=True)
