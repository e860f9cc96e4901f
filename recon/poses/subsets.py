"""Which photos to drop from a model that failed, so that the rest may pass."""

from itertools import combinations

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from recon.poses.evidence import LEAST_FREE_PAIR
from recon.poses.outcome import Outcome
from recon.poses.verdict import LEAST_PAIR_EXPLAINED

SPLIT_IN_DOUBT = 0.97
"""If the worst split explains more of its matches than this, a model fails for another reason: too few tracks."""

ENUMERATED = 14
"""Up to this many photos the largest compatible subset is found exactly; beyond, photos are dropped one by one."""


def subsets_to_try(outcome: Outcome) -> list[tuple[int, ...]]:
    """Return which photos to keep: all but those in contradicting pairs, or the larger side of the weakest split."""
    if outcome.model is None or outcome.verdict is None or outcome.verdict.level != "uncertified":
        return []
    kept = {compatible_photos(outcome), larger_side(outcome)}
    return sorted((photos for photos in kept if 3 <= len(photos) < outcome.size), key=len, reverse=True)


def larger_side(outcome: Outcome) -> tuple[int, ...]:
    """Return the larger side of the split whose matches the poses explain worst; empty when there is none.

    Where they explain all, it is the split that fewest tracks cross.
    """
    evidence = outcome.evidence
    if evidence is None:
        return ()
    doubtful = evidence.weakest_split and evidence.worst_split_explained < SPLIT_IN_DOUBT
    split = evidence.weakest_split if doubtful else evidence.thinnest_split
    return split[1] if split else ()


def compatible_photos(outcome: Outcome) -> tuple[int, ...]:
    """Return the largest part of a model in which no pair contradicts the poses.

    Of equals, it is the one with most explained matches.
    """
    model, evidence = outcome.model, outcome.evidence
    if model is None or evidence is None or evidence.free is None or evidence.explained_matches is None:
        return ()
    free, explained = evidence.free, evidence.explained_matches
    contradicts = (free >= LEAST_FREE_PAIR) & (explained < LEAST_PAIR_EXPLAINED * free)
    kept = _largest_independent(contradicts, explained)
    return tuple(model.photos[column] for column in kept)


def _largest_independent(conflict: Bool[ndarray, "C C"], weight: Float[ndarray, "C C"]) -> tuple[int, ...]:
    """Return the largest set of rows without a conflict among them; of equals, the one with most weight inside."""
    count = len(conflict)
    if count > ENUMERATED:
        kept = list(range(count))
        while (within := conflict[np.ix_(kept, kept)]).any():
            kept.pop(int(within.sum(axis=1).argmax()))
        return tuple(kept)
    for size in range(count, 0, -1):
        free_of_conflict = [
            rows for rows in combinations(range(count), size) if not conflict[np.ix_(rows, rows)].any()
        ]
        if free_of_conflict:
            return max(free_of_conflict, key=lambda rows: weight[np.ix_(rows, rows)].sum())
    return ()
