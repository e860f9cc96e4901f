"""How differently photos are exposed, from what they show of the same places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from recon.scene import View
from recon.stereo.consistency import MAX_RELATIVE_DEPTH, reproject
from recon.stereo.depth_map import DepthMap

TRUSTED = 0.55
"""Confidence of the matches that are compared."""
UNCLIPPED = 0.06, 0.94
"""Values between which a photo tells how bright a place is: neither lost in the dark nor burnt out."""
MIN_MATCHES = 200
"""Pixels that two photos must share to be compared."""
MAX_MATCHES = 100_000
"""Pixels of a photo that are compared at most, evenly chosen."""
GRID = 8
"""A photo is cut into so many by so many parts to see how a difference varies over it."""
MIN_PART = 30
"""Pixels from which a part of a photo counts."""

VISIBLE = 0.04
"""Mean difference between photos from which they are evened. Below, nothing is gained: photos 2.5 and 3.6 % apart made
-0.1 and +0.1 dB of difference when they were."""
INCONSISTENT = 0.13
"""Of a difference that comes from exposure no more than this share depends on which two photos are compared."""


@dataclass(frozen=True, eq=False)
class _Pair:
    """What two photos show of the same places: log(first / second).

    Attributes:
        count: pixels compared.
        ratio: their median, by channel.
        spread: how far the medians of the photo's parts lie from it, median over parts, mean over channels.
    """

    first: int
    second: int
    count: int
    ratio: Float[ndarray, " 3"]
    spread: float


def relative_exposures(views: Sequence[View], depths: Sequence[DepthMap]) -> Float[ndarray, "V 3"] | None:
    """Return how much brighter each photo is than the photos' (geometric) mean, or None where they are exposed alike.

    1. Pairs of photos are compared at the pixels that stereo matched in both: log ratios by channel, their median.
    2. One number per photo and channel explains the pairs best (least squares, weighted by shared pixels).
    3. It is believed only where it is an exposure. Surfaces that shine make photos differ as well, but by another
       amount in each part of the photo and for each pair: there, taking the mean out makes new views worse.

    Cut-out objects are left as they are: what surrounds them is not a picture.

    Args:
        views: posed photos.
        depths: of these, in the same order.
    """
    if any(view.background is not None for view in views):
        return None
    pairs = [
        pair
        for first in range(len(views))
        for second in range(first + 1, len(views))
        if (pair := _compared(first, second, views, depths)) is not None
    ]
    if not pairs:
        return None
    logs = _solved(pairs, len(views))
    weights = np.array([pair.count for pair in pairs])
    explained = np.array([logs[pair.first] - logs[pair.second] for pair in pairs])
    rest = np.array([pair.ratio for pair in pairs]) - explained
    difference, inconsistent = (
        float(np.average(np.abs(one).mean(axis=1), weights=weights)) for one in (explained, rest)
    )
    spread = float(np.average([pair.spread for pair in pairs], weights=weights))
    exposed = difference >= max(VISIBLE, spread) and inconsistent <= INCONSISTENT * difference
    return np.exp(logs) if exposed else None


def _compared(first: int, second: int, views: Sequence[View], depths: Sequence[DepthMap]) -> _Pair | None:
    """Compare two photos at the pixels of the first; None when they share too few, or too scattered ones."""
    one, other = views[first], views[second]
    seen = reproject(one.camera, _trusted_depth(depths[first]), other.camera)
    surface = depths[second].depth[seen.row, seen.column]
    same = (surface > 0) & (np.abs(surface - seen.depth) < MAX_RELATIVE_DEPTH * seen.depth)
    pixels = seen.known[same]
    here, there = one.image.reshape(-1, 3)[pixels], other.image[seen.row[same], seen.column[same]]
    low, high = UNCLIPPED
    usable = ((here > low) & (here < high) & (there > low) & (there < high)).all(axis=1)
    if usable.sum() < MIN_MATCHES:
        return None
    ratios = np.log(here[usable]) - np.log(there[usable])
    median = np.median(ratios, axis=0)
    parts = _parts(pixels[usable], one.camera.width, one.camera.height)
    of_parts = [
        np.abs(np.median(ratios[parts == part], axis=0) - median)
        for part, count in zip(*np.unique(parts, return_counts=True), strict=True)
        if count >= MIN_PART
    ]
    if not of_parts:
        return None
    return _Pair(first, second, len(ratios), median, float(np.median(of_parts, axis=0).mean()))


def _trusted_depth(depth: DepthMap) -> Float[ndarray, "H W"]:
    """Return the depth at the pixels that may be compared, and 0 elsewhere."""
    trusted = np.flatnonzero((depth.confidence >= TRUSTED) & ~depth.filled & (depth.depth > 0))
    chosen = trusted[:: max(1, -(-trusted.size // MAX_MATCHES))]
    kept = np.zeros_like(depth.depth)
    kept.reshape(-1)[chosen] = depth.depth.reshape(-1)[chosen]
    return kept


def _parts(pixels: Int[ndarray, " N"], width: int, height: int) -> Int[ndarray, " N"]:
    """Return which part of the photo each pixel lies in."""
    row, column = np.divmod(pixels, width)
    return row * GRID // height * GRID + column * GRID // width


def _solved(pairs: Sequence[_Pair], count: int) -> Float[ndarray, "V 3"]:
    """Return the log exposures of least squares whose sum is 0; a photo that nothing connects to others has 0."""
    weights = np.sqrt([pair.count for pair in pairs])
    design = np.zeros((len(pairs), count))
    rows = np.arange(len(pairs))
    design[rows, [pair.first for pair in pairs]] = weights
    design[rows, [pair.second for pair in pairs]] = -weights
    ratios = weights[:, None] * np.array([pair.ratio for pair in pairs])
    return np.linalg.lstsq(design, ratios, rcond=None)[0]
