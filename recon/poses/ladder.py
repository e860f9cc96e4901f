"""Photos → verified cameras: try mappers from the strictest up, certify each answer, keep the largest certified one."""

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from recon.errors import ReconError
from recon.poses.diagnosis import diagnose, explain_left_out
from recon.poses.duplicates import find_duplicates
from recon.poses.estimate import Attempt, EstimatedCamera, PoseEstimate, Status, upright_frame
from recon.poses.evidence import gather_evidence
from recon.poses.features import FeatureSet, Progress, find_features
from recon.poses.focal_test import run_focal_test
from recon.poses.lens import Lens
from recon.poses.mapping import (
    GLOBAL,
    INCREMENTAL,
    INCREMENTAL_FIXED,
    LOOSE,
    LOOSE_FIXED,
    Model,
    Strategy,
    run_mapper,
)
from recon.poses.outcome import Outcome, most_believable
from recon.poses.settings import PoseSettings
from recon.poses.subsets import subsets_to_try
from recon.poses.verdict import focal_is_confirmed, judge, match_failures
from recon.scene.photo import Photo, PhotoSet
from recon.scene.scene import SparsePoints

LEAST_FEATURES = 30
"""A photo with fewer features cannot be placed (a resection needs 12 to 30 inliers)."""

MOST_SUBSET_RUNS = 10
"""Mapping runs spent on subsets when the whole set cannot be certified."""


def estimate_poses(
    photos: Sequence[Photo] | PhotoSet, settings: PoseSettings | None = None, progress: Progress | None = None
) -> PoseEstimate:
    """Estimate and verify the cameras of a few photos.

    Tried in this order: incremental mapping; incremental with loose thresholds and no distortion; global mapping; all
    three start from the stated focal length where there is one. If nothing is certified, the stated focal length is
    held fixed, and then subsets are tried, dropping the side that the matches tie worst. The certified model with
    most photos wins, earlier attempts first in a tie. What cannot be certified is refused with a diagnosis.

    Args:
        photos: at least two, with different names.
        progress: called with a sentence and the fraction done.

    Raises:
        ReconError: for fewer than two photos or repeated names. A set that cannot be solved is not an error: it returns
            with status "refused".
    """
    settings, photos = settings or PoseSettings(), tuple(photos)
    _check(photos, settings)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="recon-poses-") as folder:
        features = find_features(photos, settings, Path(folder), _part(progress, 0.0, 0.6))
        left_out = _unusable(features)
        climb = _Climb(features, settings, _part(progress, 0.6, 1.0))
        usable = tuple(photo for photo in range(features.count) if features.names[photo] not in left_out)
        best = climb.run(usable)
        if best is None and settings.accept == "uncertified":
            best = most_believable(climb.outcomes())
        diagnosis = diagnose(features, climb.outcomes(), best.model if best else None, left_out)
        if best and best.model:
            left_out |= explain_left_out(features, best.model, left_out)
        else:
            left_out |= {name: "no certified camera" for name in features.names if name not in left_out}
        if progress:
            progress("poses checked", 1.0)
        return _result(features, best, climb, left_out, diagnosis, time.perf_counter() - start)


class _Climb:
    """The attempts made so far and how to make the next one."""

    def __init__(self, features: FeatureSet, settings: PoseSettings, progress: Progress | None) -> None:
        self._features = features
        self._settings = settings
        self._progress = progress
        self._outcomes: list[Outcome] = []
        self._done: set[tuple[str, tuple[int, ...]]] = set()

    def outcomes(self) -> list[Outcome]:
        return list(self._outcomes)

    def run(self, photos: tuple[int, ...]) -> Outcome | None:
        """Climb the ladder and return the largest certified outcome, or None."""
        if len(photos) < 2:
            return None
        for strategy in (INCREMENTAL, LOOSE, GLOBAL):
            self._try(strategy, photos)
            if self._best_size() == len(photos):
                return self._best()
        if self._best() is None and all(self._features.known_focal[photo] is not None for photo in photos):
            for strategy in (INCREMENTAL_FIXED, LOOSE_FIXED):
                self._try(strategy, photos)
                if self._best_size() == len(photos):
                    return self._best()
        self._try_subsets()
        return self._best()

    def _best(self) -> Outcome | None:
        certified = [outcome for outcome in self._outcomes if outcome.certified]
        return max(certified, key=lambda outcome: outcome.size, default=None)  # the first of equals

    def _best_size(self) -> int:
        best = self._best()
        return best.size if best else 0

    def _try(self, strategy: Strategy, photos: tuple[int, ...], chosen_subset: bool = False) -> Outcome:
        """Map, gather evidence, judge, record."""
        if self._progress:
            self._progress(
                f"mapping {len(photos)} photos: {strategy.name}", min(0.95, 0.12 * len(self._outcomes))
            )
        start = time.perf_counter()
        features = self._features
        self._done.add((strategy.name, photos))
        model = run_mapper(features, strategy, photos, self._settings.seed)
        evidence = verdict = None
        if model is not None:
            evidence = gather_evidence(features, model, self._settings.seed)
            if not match_failures(evidence, len(model.photos), chosen_subset):
                evidence = replace(evidence, focal=run_focal_test(model))
            confirmed = focal_is_confirmed(features, model, strategy, evidence)
            verdict = judge(evidence, len(model.photos), confirmed, chosen_subset)
        attempt = Attempt(
            strategy=strategy.name,
            tried=_names(features, photos),
            registered=_names(features, model.photos) if model else (),
            level=verdict.level if verdict else "none",
            reasons=verdict.reasons if verdict else ("the mapper found no model",),
            evidence=evidence,
            seconds=time.perf_counter() - start,
        )
        outcome = Outcome(strategy, model, evidence, verdict, attempt)
        self._outcomes.append(outcome)
        return outcome

    def _try_subsets(self) -> None:
        """Drop photos that the evidence speaks against and map the rest again, while that could still win."""
        waiting = [outcome for outcome in self._outcomes if outcome.size >= 4 and not outcome.certified]
        for _ in range(MOST_SUBSET_RUNS):
            candidates = [
                (kept, outcome.strategy)
                for outcome in waiting
                for kept in subsets_to_try(outcome)
                if len(kept) > max(2, self._best_size()) and (outcome.strategy.name, kept) not in self._done
            ]
            if not candidates:
                return
            kept, strategy = max(candidates, key=lambda candidate: len(candidate[0]))
            outcome = self._try(strategy, kept, chosen_subset=True)
            if outcome.size >= 4 and not outcome.certified:
                waiting.append(outcome)


def _check(photos: Sequence[Photo], settings: PoseSettings) -> None:
    if len(photos) < 2:
        raise ReconError(
            f"camera poses need at least two photos of the same scene, got {len(photos)}; take three or more, moving "
            "sideways between them"
        )
    names = [photo.name for photo in photos]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ReconError(f"photo names must differ, but these repeat: {', '.join(repeated)}")
    if settings.focal_mm is not None and not 1.0 <= settings.focal_mm <= 3000.0:
        raise ReconError(
            f"the focal length must be a 35 mm equivalent between 1 and 3000 mm, got {settings.focal_mm}; a phone's "
            "main camera has about 26"
        )


def _unusable(features: FeatureSet) -> dict[str, str]:
    """Return photos that take no part, with the reason: nothing to match, or the same picture as another."""
    left_out = {}
    for photo, name in enumerate(features.names):
        found = len(features.keypoints[photo])
        if found < LEAST_FEATURES:
            how_many = f"only {found}" if found > 1 else "hardly any"
            left_out[name] = (
                f"{how_many} features were found in it (blurred, too dark or without texture); take it again, sharp "
                "and with textured things in view"
            )
    for photo, original in find_duplicates(features).items():
        left_out.setdefault(
            features.names[photo],
            f"it shows the same picture as {features.names[original]} from the same place",
        )
    return left_out


def _names(features: FeatureSet, photos: Sequence[int]) -> tuple[str, ...]:
    return tuple(features.names[photo] for photo in photos)


def _part(progress: Progress | None, start: float, end: float) -> Callable[[str, float], None] | None:
    if progress is None:
        return None
    return lambda sentence, fraction: progress(sentence, start + (end - start) * fraction)


def _result(
    features: FeatureSet,
    best: Outcome | None,
    climb: _Climb,
    left_out: dict[str, str],
    diagnosis: tuple[str, ...],
    seconds: float,
) -> PoseEstimate:
    attempts = tuple(outcome.attempt for outcome in climb.outcomes())
    if best is None or best.model is None or best.verdict is None:
        return PoseEstimate("refused", {}, left_out, None, None, None, None, attempts, diagnosis, seconds)
    model = best.model
    poses = {features.names[photo]: model.world_to_camera[photo] for photo in model.photos}
    poses, points = upright_frame(poses, model.points, model.visible)
    cameras = {
        features.names[photo]: EstimatedCamera(
            poses[features.names[photo]], _full_size_lens(features, model, photo)
        )
        for photo in model.photos
    }
    status: Status = best.verdict.level
    return PoseEstimate(
        status=status,
        cameras=cameras,
        left_out=left_out,
        points=SparsePoints(points, model.colors),
        visible=model.visible,
        evidence=best.evidence,
        strategy=best.strategy.name,
        attempts=attempts,
        diagnosis=diagnosis,
        seconds=seconds,
    )


def _full_size_lens(features: FeatureSet, model: Model, photo: int) -> Lens:
    (width, height), (sx, sy) = features.sizes[photo], features.scales[photo]
    return model.lenses[photo].resized(int(np.rint(width * sx)), int(np.rint(height * sy)))
