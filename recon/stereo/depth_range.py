"""The range of depth that is searched in each photo."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from recon.scene import Camera
from recon.stereo.matches import TriangulatedMatches

MIN_POINTS = 30
"""Fewer triangulated points than this do not give percentiles."""
WIDER = 1.1
"""A range that reaches nearer or farther by this factor is worth a search of its own."""
PERCENTILE = 0.5
WIDENING = 0.15
"""Share of the range of inverse depth added on each side."""
CONVERGING_RANGE = (0.35, 3.0)
"""Without points and bounds: near and far as multiples of the distance to where the cameras look."""
PARALLEL_DISPARITY = (0.3, 0.004)
"""Without points, bounds and a common target: the nearest and farthest disparity as shares of the picture's width."""


def depth_ranges(
    cameras: Sequence[Camera], matches: TriangulatedMatches, bounds: tuple[float, float] | None = None
) -> list[tuple[float, float]]:
    """Return (near, far) per camera: from its matches, else from those of all photos, else from the data set's bounds,
    else from the cameras alone.
    """
    ranges = []
    for index, camera in enumerate(cameras):
        depth = camera.project(matches.seen_by(index))[1]
        if len(depth) < MIN_POINTS:
            depth = camera.project(matches.positions)[1]
            depth = depth[depth > 0]
        ranges.append(
            _range_of_points(depth) if len(depth) >= MIN_POINTS else _widest(cameras, index, bounds)
        )
    return ranges


def wider_ranges(
    cameras: Sequence[Camera],
    ranges: Sequence[tuple[float, float]],
    bounds: tuple[float, float] | None = None,
    *,
    nearer: bool = False,
) -> list[tuple[float, float]] | None:
    """Return `ranges` reaching as far, and with `nearer` also as near, as bounds or cameras allow; None where that is
    hardly wider.

    Matches tell where textured surfaces are; a plain background may lie behind them.
    """
    result = []
    for index, (near, far) in enumerate(ranges):
        nearest, farthest = _widest(cameras, index, bounds)
        result.append((min(near, nearest) if nearer else near, max(far, farthest)))
    reaches = any(
        wide[0] * WIDER < own[0] or wide[1] > WIDER * own[1] for wide, own in zip(result, ranges, strict=True)
    )
    return result if reaches else None


def _widest(cameras: Sequence[Camera], index: int, bounds: tuple[float, float] | None) -> tuple[float, float]:
    if bounds is not None:
        return float(bounds[0]), float(bounds[1])
    return _range_of_cameras(cameras, index)


def _range_of_points(depth: np.ndarray) -> tuple[float, float]:
    low, high = np.percentile(1.0 / depth, [PERCENTILE, 100 - PERCENTILE])
    margin = WIDENING * max(high - low, 0.02 * high)
    return float(1.0 / (high + margin)), float(1.0 / max(low - margin, 0.5 * low))


def _range_of_cameras(cameras: Sequence[Camera], index: int) -> tuple[float, float]:
    camera = cameras[index]
    target = _common_target(cameras)
    if target is not None:
        distance = float(camera.project(target[None])[1][0])
        if distance > 0:
            return CONVERGING_RANGE[0] * distance, CONVERGING_RANGE[1] * distance
    baseline = max(float(np.linalg.norm(other.center - camera.center)) for other in cameras)
    if baseline == 0:
        return 1.0, 10.0  # anything: without parallax there is no depth to find
    near, far = (camera.fx / camera.width * baseline / share for share in PARALLEL_DISPARITY)
    return near, far


def _common_target(cameras: Sequence[Camera]) -> np.ndarray | None:
    """Return the point nearest to all optical axes, or None where they are parallel or meet behind a camera."""
    system, right_side = np.zeros((3, 3)), np.zeros(3)
    for camera in cameras:
        across = np.eye(3) - np.outer(camera.forward, camera.forward)
        system += across
        right_side += across @ camera.center
    # The smallest eigenvalue is the mean squared sine between the axes: below 2 degrees they count as parallel.
    if np.linalg.eigvalsh(system)[0] < len(cameras) * np.sin(np.radians(2.0)) ** 2:
        return None
    target = np.linalg.solve(system, right_side)
    if any(camera.project(target[None])[1][0] <= 0 for camera in cameras):
        return None
    return target
