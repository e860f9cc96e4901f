"""Bringing a depth map from the working size to the photo's size, along the photo's edges."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from recon.stereo.depth_map import DepthMap

COLOR_SIGMA = 0.05
"""Neighbours whose colour differs by this much (sRGB, mean over channels) count 60 %."""
SAME_SURFACE = 0.02
"""Neighbours within this share of the likeliest one's depth are averaged with it; others are across an edge."""
ROWS = 256
"""Rows handled together: bounds the memory for large photos."""


def upsample(
    depth_map: DepthMap,
    low_image: Float[ndarray, "h w 3"],
    image: Float[ndarray, "H W 3"],
    allowed: Bool[ndarray, "H W"],
) -> DepthMap:
    """Return the depth map at the size of `image`.

    Each pixel looks at the four low-resolution pixels around it, follows the one whose colour and position fit best,
    and averages the inverse depths of those on the same surface. It stays unknown where most of their weight is
    unknown, so surfaces do not grow over their measured edge.

    Args:
        low_image: the photo at the depth map's size.
        image: the photo at full size.
        allowed: pixels that may have depth.

    Source: after joint bilateral upsampling, Kopf et al. 2007; averaging is kept to one side of a depth edge.
    """
    height, width = image.shape[:2]
    if depth_map.depth.shape == (height, width):
        return depth_map
    parts = [
        _upsample_rows(depth_map, low_image, image[top : top + ROWS], top, height)
        for top in range(0, height, ROWS)
    ]
    depth, confidence, normal, filled = (np.concatenate(column) for column in zip(*parts, strict=True))
    blocked = ~allowed
    depth[blocked], confidence[blocked], normal[blocked], filled[blocked] = 0.0, 0.0, 0.0, False
    low_height, low_width = depth_map.depth.shape
    stride = depth_map.stride * float(np.sqrt(height * width / (low_height * low_width)))
    return DepthMap(depth, confidence, normal, filled, stride)


def _upsample_rows(
    low: DepthMap, low_image: ndarray, image: ndarray, top: int, height: int
) -> tuple[ndarray, ndarray, ndarray, ndarray]:
    low_height, low_width = low.depth.shape
    rows, width = image.shape[:2]
    y0, fy = _cells(np.arange(top, top + rows), height, low_height)
    x0, fx = _cells(np.arange(width), width, low_width)
    best_weight = np.full((rows, width), -1.0, np.float32)
    best_row = np.zeros((rows, width), np.int32)
    best_column = np.zeros((rows, width), np.int32)
    known_share = np.zeros((rows, width), np.float32)
    corners = []
    for dy in (0, 1):
        for dx in (0, 1):
            row = np.minimum(y0 + dy, low_height - 1)[:, None]
            column = np.minimum(x0 + dx, low_width - 1)[None, :]
            share = (fy if dy else 1 - fy)[:, None] * (fx if dx else 1 - fx)[None, :]
            difference = np.abs(image - low_image[row, column]).mean(axis=-1)
            weight = (share + 0.05) * np.exp(-0.5 * (difference / COLOR_SIGMA) ** 2) + 1e-9
            depth = low.depth[row, column]
            known = depth > 0
            known_share += share * known
            better = known & (weight > best_weight)
            best_weight = np.where(better, weight, best_weight)
            best_row, best_column = np.where(better, row, best_row), np.where(better, column, best_column)
            corners.append((depth, np.where(known, weight, 0.0)))
    follow = low.depth[best_row, best_column]
    sum_inverse, sum_weight = np.zeros((rows, width)), np.zeros((rows, width))
    for depth, weight in corners:
        same = np.where(np.abs(depth - follow) <= SAME_SURFACE * follow, weight, 0.0)
        sum_inverse += same / np.maximum(depth, 1e-12)
        sum_weight += same
    keep = (known_share >= 0.5) & (sum_weight > 0)
    depth = np.where(keep, sum_weight / np.maximum(sum_inverse, 1e-12), 0.0).astype(np.float32)
    confidence = np.where(keep, low.confidence[best_row, best_column], 0.0).astype(np.float32)
    normal = np.where(keep[..., None], low.normal[best_row, best_column], 0.0).astype(np.float32)
    return depth, confidence, normal, keep & low.filled[best_row, best_column]


def _cells(positions: ndarray, size: int, low_size: int) -> tuple[ndarray, ndarray]:
    """Return the low-resolution pixel before each pixel centre, and the fraction of the way to the next."""
    place = np.clip((positions + 0.5) * low_size / size - 0.5, 0, low_size - 1)
    before = np.floor(place).astype(np.int32)
    return before, (place - before).astype(np.float32)
