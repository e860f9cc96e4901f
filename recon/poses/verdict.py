"""Evidence → verdict: which models may be trusted.

The thresholds were fitted on 120 models of four captured scenes (97 right, 23 wrong) and confirmed on scenes not
used for fitting: every wrong model failed them, and about one right model in five did too.
"""

from dataclasses import dataclass
from typing import Literal

from recon.poses.evidence import LEAST_FREE_SPLIT, Evidence
from recon.poses.features import FeatureSet
from recon.poses.focal_test import FocalTest
from recon.poses.mapping import Model, Strategy

Level = Literal["certified", "plausible", "uncertified"]

LEAST_PAIR_EXPLAINED = 0.86
LEAST_VERIFIED_EXPLAINED = 0.93
LEAST_CROSSING_TRACKS = 6
MOST_DISTORTION = 0.5
MOST_FOCAL_AMBIGUITY = 10.0

LEAST_FOCAL_RESIDUAL = 1.01
"""If a focal length 15% off raises the residuals by less than 1%, nothing in the photos speaks for the estimate. A pure
sideways movement along a wall is such a case: the poses hardly depend on the focal length, but depth does."""

NORMAL_FOCAL = 0.72
"""Focal length over longest side of the lenses on which MOST_DISTORTION was set. The same bend of the picture is a
k1 larger by the square of the focal length, so the limit grows with it, to at most 1."""

STATED_FOCAL_AGREES = 0.10
"""A stated focal length counts as confirmed when the estimate lies within this share of it. Files round to about 3%."""

CONTRADICTED_RESIDUAL = 0.97
"""If another focal length lowers the residuals below this share, the photos contradict the stated one."""


@dataclass(frozen=True)
class Verdict:
    """A level and, where it is not "certified", the sentences that say what failed.

    "plausible" means that the matches agree with the poses but the focal length is not determined (or two photos are
    all there is, with no third to check them).
    """

    level: Level
    reasons: tuple[str, ...] = ()


def judge(
    evidence: Evidence, photos: int, focal_confirmed: bool = False, chosen_subset: bool = False
) -> Verdict:
    """Apply the rule to the evidence for a model of `photos` photos.

    Args:
        focal_confirmed: an independent statement of the focal length agrees with the model (see
            `focal_is_confirmed`); the focal test is then not needed, because what it fears, that the photos alone
            leave the focal length open, has been settled by the statement.
        chosen_subset: photos were dropped because they failed. Dropping what contradicts is how wrong models come
            to look right, so every split of the rest must then be tested by enough matches and pass on its own.
    """
    failures = match_failures(evidence, photos, chosen_subset)
    if failures:
        return Verdict("uncertified", tuple(failures))
    doubts = []
    if photos < 3:
        doubts.append("two photos have no third to check them against")
    if not focal_confirmed and (doubt := _focal_doubt(evidence.focal)):
        doubts.append(doubt)
    return Verdict("plausible", tuple(doubts)) if doubts else Verdict("certified")


def focal_is_confirmed(features: FeatureSet, model: Model, strategy: Strategy, evidence: Evidence) -> bool:
    """Tell whether stated focal lengths settle the focal length of a model.

    Every photo must have one. If the mapper estimated the focal length on its own, the estimate must agree with what is
    stated. If the stated value was used as it is, the photos must not clearly prefer another: a wrong statement (a
    cropped or edited photo) would otherwise pass unnoticed.
    """
    if any(features.known_focal[photo] is None for photo in model.photos):
        return False
    if strategy.fixed_focal:
        return evidence.focal is not None and evidence.focal.residual_ratio >= CONTRADICTED_RESIDUAL
    return all(
        abs(model.lenses[photo].focal / stated - 1.0) <= STATED_FOCAL_AGREES
        for photo in model.photos
        if (stated := features.known_focal[photo]) is not None
    )


def distortion_limit(relative_focal: float) -> float:
    """Return the largest |k1| of a believable lens with this focal length (over the longest side)."""
    return min(1.0, MOST_DISTORTION * max(1.0, (relative_focal / NORMAL_FOCAL) ** 2))


def match_failures(evidence: Evidence, photos: int, chosen_subset: bool = False) -> list[str]:
    """Return what speaks against a model apart from its focal length, as sentences; see `judge`."""
    failures = []
    if not evidence.worst_pair_explained >= LEAST_PAIR_EXPLAINED:
        failures.append(
            f"for one pair of photos the poses explain only {evidence.worst_pair_explained:.0%} of the matches that "
            f"belong together (at least {LEAST_PAIR_EXPLAINED:.0%} needed)"
        )
    if not evidence.verified_explained >= LEAST_VERIFIED_EXPLAINED:
        failures.append(
            f"the poses explain only {evidence.verified_explained:.0%} of all verified matches (at least "
            f"{LEAST_VERIFIED_EXPLAINED:.0%} needed)"
        )
    if photos >= 3 and evidence.crossing_tracks < LEAST_CROSSING_TRACKS:
        failures.append(
            f"only {evidence.crossing_tracks} points seen by three or more photos hold the two halves of the set "
            f"together (at least {LEAST_CROSSING_TRACKS} needed)"
        )
    limit = distortion_limit(evidence.relative_focal)
    if not evidence.largest_distortion <= limit:
        failures.append(
            f"the estimated lens is unbelievably distorted (|k1| = {evidence.largest_distortion:.2f}, at most "
            f"{limit:.2f} expected)"
        )
    if chosen_subset and not (
        evidence.least_split_matches >= LEAST_FREE_SPLIT
        and evidence.worst_split_explained >= LEAST_PAIR_EXPLAINED
    ):
        failures.append(
            "after dropping photos, too few matches tie the rest together to be sure of it "
            f"({evidence.least_split_matches} across the weakest split, at least {LEAST_FREE_SPLIT} needed; "
            f"{evidence.worst_split_explained:.0%} explained, at least {LEAST_PAIR_EXPLAINED:.0%} needed)"
        )
    return failures


def _focal_doubt(focal: FocalTest | None) -> str | None:
    if focal is None:
        return "the focal length was not tested"
    if focal.ambiguity <= MOST_FOCAL_AMBIGUITY and focal.residual_ratio >= LEAST_FOCAL_RESIDUAL:
        return None
    return (
        f"the photos leave the focal length open (a 15% change turns the cameras by {focal.degrees:.1f} degrees and "
        f"multiplies the residuals by {focal.residual_ratio:.2f}: ambiguity {focal.ambiguity:.1f}, at most "
        f"{MOST_FOCAL_AMBIGUITY:.0f} allowed)"
    )
