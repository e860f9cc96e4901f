"""Signals that tell right models from wrong ones.

A mapper throws away what contradicts it, so its own tracks and reprojection errors always look fine. The evidence
lies in the matches it discarded: how many of the matches between two photos do the mapper's poses explain, against
how many a free two-view geometry explains for the same pair?
"""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from recon.poses.colmap import load_pycolmap
from recon.poses.epipolar import essential_matrix, in_front_of_both, sampson_distance
from recon.poses.features import FeatureSet
from recon.poses.focal_test import FocalTest
from recon.poses.lens import Lens
from recon.poses.mapping import Model
from recon.poses.splits import crossing_sum, crossing_tracks, splits

TOLERANCE_PIXELS = 1.5
"""Match tolerance at 800 px longest side; scaled with the picture."""

RANSAC_PIXELS = 2.0
"""Inlier threshold of the free two-view geometry at 800 px longest side."""

LEAST_FREE_PAIR = 30
"""Pairs with fewer matches under a free geometry say too little about that pair."""

LEAST_FREE_SPLIT = 50
"""The same for all pairs across a split."""

LEAST_VERIFIED_PAIR = 15
"""Pairs with fewer verified matches are left out of the share of verified matches explained."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """How well the matches support a model.

    Attributes:
        worst_pair_explained: E_min, the least share of a pair's matches (against a free geometry) that the poses
            explain; 0 when no pair has enough matches.
        explained: E_all, that share over all pairs together.
        worst_split_explained: E_bip, that share over the worst split of the photos; 0 when no split has enough matches.
        verified_explained: V_all, share of all verified matches that the poses explain.
        crossing_tracks: C3, fewest tracks of three or more photos across any split.
        largest_distortion: |k1| of the worst lens, and its limit's scale in `relative_focal`.
        relative_focal: that lens's focal length over its longest side.
        focal: the test whether the focal length could as well be another; None when it was not run.
        worst_pair: the pair behind worst_pair_explained.
        weakest_split: photo numbers of the smaller and the larger side of the split behind worst_split_explained.
        thinnest_split: the same for crossing_tracks.
        least_split_matches: fewest matches under free geometries across any split: how well every split is tested
            at all.
        reprojection_pixels: mean reprojection error; recorded because people ask for it, it decides nothing.
        tracks: how many tracks have three or more photos.
        free, explained_matches: [C, C] the counts behind the shares, for every pair of the model's photos in their
            order.
    """

    worst_pair_explained: float
    explained: float
    worst_split_explained: float
    verified_explained: float
    crossing_tracks: int
    largest_distortion: float
    relative_focal: float
    focal: FocalTest | None = None
    worst_pair: tuple[int, int] | None = None
    weakest_split: tuple[tuple[int, ...], tuple[int, ...]] | None = None
    thinnest_split: tuple[tuple[int, ...], tuple[int, ...]] | None = None
    least_split_matches: int = 0
    reprojection_pixels: float = float("nan")
    tracks: int = 0
    free: Float[ndarray, "C C"] | None = field(default=None, repr=False)
    explained_matches: Float[ndarray, "C C"] | None = field(default=None, repr=False)

    def numbers(self) -> dict[str, float | int | None]:
        """Return the signals for records, in the notation of the documentation."""
        return {
            "E_min": round(self.worst_pair_explained, 4),
            "E_all": round(self.explained, 4),
            "E_bip": round(self.worst_split_explained, 4),
            "V_all": round(self.verified_explained, 4),
            "C3": self.crossing_tracks,
            "F_min": self.least_split_matches,
            "k1": round(self.largest_distortion, 4),
            "focal": round(self.relative_focal, 4),
            "A": round(self.focal.ambiguity, 2) if self.focal else None,
            "A_residual_ratio": round(self.focal.residual_ratio, 4) if self.focal else None,
            "A_degrees": round(self.focal.degrees, 3) if self.focal else None,
            "reprojection_px": round(self.reprojection_pixels, 3),
            "tracks": self.tracks,
        }


def gather_evidence(features: FeatureSet, model: Model, seed: int = 0) -> Evidence:
    """Measure every signal that the matches give for a model.

    The focal test, which re-runs bundle adjustment, is left to `run_focal_test`: it is only worth its time when the
    rest is good. Until then `focal` is None.
    """
    free, explained = _explained_matches(features, model, seed)
    verified, verified_explained = _explained_verified(features, model)
    sides = splits(free)
    worst_pair, worst_pair_explained = _worst_pair(model, free, explained)
    split_free, split_explained = crossing_sum(sides, free), crossing_sum(sides, explained)
    enough = split_free >= LEAST_FREE_SPLIT
    share = np.divide(split_explained, split_free, out=np.full(len(sides), np.inf), where=enough)
    weakest = int(share.argmin()) if enough.any() else None
    tracks = crossing_tracks(sides, model.visible)
    thinnest = int(tracks.argmin()) if len(tracks) else None
    worst_lens = max(model.lenses.values(), key=lambda lens: abs(lens.k1))
    return Evidence(
        worst_pair_explained=worst_pair_explained,
        explained=_ratio(explained.sum(), free.sum()),
        worst_split_explained=0.0 if weakest is None else float(share[weakest]),
        verified_explained=_ratio(verified_explained, verified),
        crossing_tracks=0 if thinnest is None else int(tracks[thinnest]),
        largest_distortion=abs(worst_lens.k1),
        relative_focal=worst_lens.relative_focal,
        worst_pair=worst_pair,
        weakest_split=None if weakest is None else _sides(model, sides[weakest]),
        thinnest_split=None if thinnest is None else _sides(model, sides[thinnest]),
        least_split_matches=int(split_free.min()) if len(sides) else 0,
        reprojection_pixels=float(model.reconstruction.compute_mean_reprojection_error()),
        tracks=int((model.visible.sum(axis=1) >= 3).sum()),
        free=free,
        explained_matches=explained,
    )


def pair_tolerance(first: Lens, second: Lens) -> float:
    """Return the match tolerance T of a pair in normalised units."""
    return TOLERANCE_PIXELS * (_pixel_scale(first) / first.focal + _pixel_scale(second) / second.focal) / 2


def explained_by_pose(
    model: Model,
    i: int,
    j: int,
    first: Float[ndarray, "N 2"],
    second: Float[ndarray, "N 2"],
    factor: float = 1.0,
) -> ndarray:
    """Return which matches (working pixels) lie within `factor` tolerances of the model's epipolar geometry."""
    rotation, translation = model.relative_pose(i, j)
    a, b = model.lenses[i].normalize(first), model.lenses[j].normalize(second)
    tolerance = factor * pair_tolerance(model.lenses[i], model.lenses[j])
    return sampson_distance(essential_matrix(rotation, translation), a, b) <= tolerance


def _explained_matches(features: FeatureSet, model: Model, seed: int) -> tuple[ndarray, ndarray]:
    """Return symmetric [C, C] counts: matches within tolerance of a free geometry, and of the model's, in front."""
    count = len(model.photos)
    free, explained = np.zeros((count, count)), np.zeros((count, count))
    for row, i in enumerate(model.photos):
        for column, j in list(enumerate(model.photos))[row + 1 :]:
            first, second = _positions(features, i, j, features.matches[i, j].raw)
            free[row, column] = free[column, row] = _free_inliers(
                model.lenses[i], model.lenses[j], first, second, seed
            )
            within = explained_by_pose(model, i, j, first, second)
            rotation, translation = model.relative_pose(i, j)
            a, b = model.lenses[i].normalize(first), model.lenses[j].normalize(second)
            within &= in_front_of_both(rotation, translation, a, b)
            explained[row, column] = explained[column, row] = within.sum()
    return free, explained


def _free_inliers(first_lens: Lens, second_lens: Lens, first: ndarray, second: ndarray, seed: int) -> int:
    """Count the matches within tolerance of the essential matrix that RANSAC finds, given the model's lenses."""
    if len(first) < 8:
        return 0
    pycolmap = load_pycolmap()
    options = pycolmap.RANSACOptions()
    options.max_error = RANSAC_PIXELS * (_pixel_scale(first_lens) + _pixel_scale(second_lens)) / 2
    options.min_num_trials, options.max_num_trials = 100, 2000
    options.random_seed = seed
    found = pycolmap.estimate_essential_matrix(
        first, second, _colmap_camera(first_lens), _colmap_camera(second_lens), options
    )
    if found is None:
        return 0
    a, b = first_lens.normalize(first), second_lens.normalize(second)
    return int(
        (sampson_distance(np.asarray(found["E"]), a, b) <= pair_tolerance(first_lens, second_lens)).sum()
    )


def _explained_verified(features: FeatureSet, model: Model) -> tuple[int, int]:
    """Return how many verified matches there are in pairs with enough of them, and how many the model explains."""
    total = explained = 0
    for i, j in model.pairs:
        verified = features.matches[i, j].verified
        if len(verified) >= LEAST_VERIFIED_PAIR:
            first, second = _positions(features, i, j, verified)
            total += len(verified)
            explained += int(explained_by_pose(model, i, j, first, second, factor=2.0).sum())
    return total, explained


def _worst_pair(model: Model, free: ndarray, explained: ndarray) -> tuple[tuple[int, int] | None, float]:
    rows, columns = np.nonzero(np.triu(free >= LEAST_FREE_PAIR, 1))
    if len(rows) == 0:
        return None, 0.0
    share = explained[rows, columns] / free[rows, columns]
    worst = int(share.argmin())
    return (model.photos[rows[worst]], model.photos[columns[worst]]), float(share[worst])


def _sides(model: Model, split: ndarray) -> tuple[tuple[int, ...], tuple[int, ...]]:
    sides = [
        tuple(p for p, side in zip(model.photos, split, strict=True) if side == value)
        for value in (True, False)
    ]
    smaller, larger = sorted(sides, key=len)
    return smaller, larger


def _positions(features: FeatureSet, i: int, j: int, matches: ndarray) -> tuple[ndarray, ndarray]:
    return features.keypoints[i][matches[:, 0]], features.keypoints[j][matches[:, 1]]


def _pixel_scale(lens: Lens) -> float:
    return max(lens.width, lens.height) / 800.0


def _ratio(part: float, whole: float) -> float:
    return float(part) / float(whole) if whole > 0 else 0.0


def _colmap_camera(lens: Lens):
    return load_pycolmap().Camera(
        model="SIMPLE_RADIAL",
        width=lens.width,
        height=lens.height,
        params=[lens.focal, lens.cx, lens.cy, lens.k1],
    )
