"""Two-way splits of a set of photos: where a model could be glued together wrongly."""

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

ENUMERATED = 12
"""Up to this many photos every split is looked at (2047 of them)."""


def splits(affinity: Float[ndarray, "C C"]) -> Bool[ndarray, "S C"]:
    """Return two-way splits of C photos as rows of booleans; the first photo is always on the false side.

    All 2^(C-1) - 1 splits up to 12 photos. Beyond, the splits that matter: every single photo, every pair of photos,
    every group that single and average linkage form, and every prefix of the order in which the graph's second
    eigenvector sorts the photos.

    Args:
        affinity: how strongly two photos are tied (matches); only used beyond 12 photos.
    """
    count = len(affinity)
    if count < 2:
        return np.zeros((0, count), dtype=bool)
    if count <= ENUMERATED:
        codes = np.arange(1, 2 ** (count - 1))
        return np.concatenate(
            [np.zeros((len(codes), 1), dtype=bool), (codes[:, None] >> np.arange(count - 1)) & 1 == 1], axis=1
        )
    return _plausible_splits(np.asarray(affinity, dtype=np.float64))


def _plausible_splits(affinity: ndarray) -> ndarray:
    from scipy.cluster.hierarchy import linkage
    from scipy.spatial.distance import squareform

    count = len(affinity)
    groups: list[frozenset[int]] = [frozenset([i]) for i in range(count)]
    groups += [frozenset([i, j]) for i in range(count) for j in range(i)]
    distance = 1.0 / (1.0 + affinity)
    np.fill_diagonal(distance, 0.0)
    for method in ("single", "average"):
        formed: list[frozenset[int]] = [frozenset([i]) for i in range(count)]
        for a, b in linkage(squareform((distance + distance.T) / 2, checks=False), method)[:, :2].astype(int):
            formed.append(formed[a] | formed[b])
        groups += formed[count:-1]
    order = np.argsort(np.linalg.eigh(np.diag(affinity.sum(axis=1)) - affinity)[1][:, 1], kind="stable")
    groups += [frozenset(order[:k].tolist()) for k in range(1, count)]
    rows = np.zeros((len(groups), count), dtype=bool)
    for row, group in zip(rows, groups, strict=True):
        row[list(group)] = True
    return np.unique(rows ^ rows[:, :1], axis=0)


def crossing_sum(sides: Bool[ndarray, "S C"], weights: Float[ndarray, "C C"]) -> Float[ndarray, " S"]:
    """Return for each split the sum of the symmetric pair weights between its two sides."""
    side = sides.astype(np.float64)
    return np.einsum("si,ij,sj->s", side, np.asarray(weights, dtype=np.float64), 1.0 - side, optimize=True)


def crossing_tracks(
    sides: Bool[ndarray, "S C"], visible: Bool[ndarray, "P C"], least_photos: int = 3
) -> Float[ndarray, " S"]:
    """Return for each split how many tracks of at least `least_photos` photos have photos on both sides."""
    tracks, repeats = np.unique(visible[visible.sum(axis=1) >= least_photos], axis=0, return_counts=True)
    if len(tracks) == 0:
        return np.zeros(len(sides))
    on_true_side = tracks.astype(np.float64) @ sides.T.astype(np.float64)
    both = (on_true_side > 0) & (on_true_side < tracks.sum(axis=1)[:, None])
    return repeats @ both
