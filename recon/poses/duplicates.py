"""Photos that show the same picture from the same place: they add nothing and mislead the mapper."""

import numpy as np

from recon.poses.features import FeatureSet

STILL_SHARE = 0.9
"""A photo is a duplicate when this share of its matches with another has not moved."""

STILL_PIXELS = 1.0
"""Movement, at 800 px longest side, below which a match counts as still."""

SEEN_SHARE = 0.5
"""And when this share of the features of the photo with fewer features is matched."""


def find_duplicates(features: FeatureSet) -> dict[int, int]:
    """Return for each photo that repeats an earlier one which one it repeats."""
    repeats: dict[int, int] = {}
    for (i, j), pair in features.matches.items():
        if i in repeats or j in repeats or features.sizes[i] != features.sizes[j]:
            continue
        fewest = min(len(features.keypoints[i]), len(features.keypoints[j]))
        if len(pair.raw) < max(15, SEEN_SHARE * fewest):
            continue
        moved = features.keypoints[i][pair.raw[:, 0]] - features.keypoints[j][pair.raw[:, 1]]
        limit = STILL_PIXELS * max(features.sizes[i]) / 800.0
        if (np.linalg.norm(moved, axis=1) <= limit).mean() >= STILL_SHARE:
            repeats[j] = i
    return repeats
