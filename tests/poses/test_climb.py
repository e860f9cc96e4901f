"""The ladder's decisions, with a scripted mapper: which attempts are made, which one wins."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recon.poses import PoseSettings, ladder
from recon.poses.evidence import Evidence
from recon.poses.features import FeatureSet, PairMatches
from recon.poses.focal_test import FocalTest
from recon.poses.lens import Lens
from recon.poses.mapping import Model
from recon.poses.outcome import most_believable

GOOD = Evidence(0.95, 0.97, 0.96, 0.98, 40, 0.02, 0.72, least_split_matches=200)
DETERMINED, OPEN = FocalTest(3.0, 1.4, 3.0), FocalTest(30.0, 1.05, 9.0)
LENS = Lens(600, 400, 300, 0.0, 800, 600)


def feature_set(count: int, known_focal: float | None = None) -> FeatureSet:
    rows = np.arange(60)[:, None].repeat(2, axis=1)
    return FeatureSet(
        names=tuple(f"{i}.jpg" for i in range(count)),
        sizes=((800, 600),) * count,
        scales=((1.0, 1.0),) * count,
        lens_of=(0,) * count,
        known_focal=(known_focal,) * count,
        keypoints=(np.zeros((60, 2)),) * count,
        matches={(i, j): PairMatches(rows, rows) for i in range(count) for j in range(i + 1, count)},
        database=Path("none"),
        pictures=Path("none"),
    )


def model_of(photos, lens: Lens = LENS) -> Model:
    photos = tuple(photos)
    return Model(
        photos=photos,
        world_to_camera={photo: np.eye(4) for photo in photos},
        lenses=dict.fromkeys(photos, lens),
        points=np.zeros((10, 3)),
        colors=np.zeros((10, 3), np.uint8),
        visible=np.ones((10, len(photos)), bool),
        observations={},
    )


@pytest.fixture
def climb(monkeypatch):
    """Run the ladder on scripted answers: {(strategy, photos): (registered photos, evidence, focal test)}."""

    def run(script, count, known_focal=None, lens=LENS):
        tried = []
        evidence_of, focal_of = {}, {}

        def run_mapper(features, strategy, photos, seed):
            tried.append((strategy.name, tuple(photos)))
            answer = script.get((strategy.name, tuple(photos)))
            if answer is None:
                return None
            model = model_of(answer[0], lens)
            evidence_of[id(model)], focal_of[id(model)] = answer[1], answer[2]
            return model

        monkeypatch.setattr(ladder, "run_mapper", run_mapper)
        monkeypatch.setattr(ladder, "gather_evidence", lambda features, model, seed: evidence_of[id(model)])
        monkeypatch.setattr(ladder, "run_focal_test", lambda model: focal_of[id(model)])
        climb = ladder._Climb(feature_set(count, known_focal), PoseSettings(), None)
        return climb.run(tuple(range(count))), climb.outcomes(), tried

    return run


ALL = tuple(range(5))
INC, LOOSE, GLOBAL = "incremental", "loose, no distortion", "global"
INC_FIXED, LOOSE_FIXED = "incremental, stated focal length", "loose, stated focal length"
BAD = replace(GOOD, worst_pair_explained=0.3)


def test_a_complete_certificate_ends_the_climb(climb):
    best, _, tried = climb({(INC, ALL): (ALL, GOOD, DETERMINED)}, 5)
    assert best.certified and tried == [(INC, ALL)]


def test_the_largest_certified_model_wins_and_the_first_of_equals(climb):
    script = {
        (INC, ALL): ((0, 1, 2), GOOD, DETERMINED),
        (LOOSE, ALL): ((0, 1, 2, 3), GOOD, DETERMINED),
        (GLOBAL, ALL): ((1, 2, 3, 4), GOOD, DETERMINED),
    }
    best, _, tried = climb(script, 5)
    assert best.model.photos == (0, 1, 2, 3) and best.strategy.name == LOOSE
    assert [name for name, _ in tried] == [INC, LOOSE, GLOBAL]


def test_an_open_focal_length_is_settled_by_a_stated_one_that_agrees(climb):
    script = {(INC, ALL): (ALL, GOOD, OPEN)}
    assert climb(script, 5)[0] is None
    best, _, _ = climb(script, 5, known_focal=630.0)  # the model says 600
    assert best.certified
    best, outcomes, _ = climb(script, 5, known_focal=800.0)
    assert best is None and outcomes[0].verdict.level == "plausible"


def test_a_stated_focal_length_is_held_when_nothing_else_passes(climb):
    script = {(INC, ALL): (ALL, GOOD, OPEN), (INC_FIXED, ALL): (ALL, GOOD, OPEN)}
    best, _, tried = climb(script, 5, known_focal=800.0)
    assert best.certified and best.strategy.name == INC_FIXED
    assert [name for name, _ in tried] == [INC, LOOSE, GLOBAL, INC_FIXED]


def test_a_stated_focal_length_that_the_photos_contradict_is_not_believed(climb):
    contradicted = FocalTest(30.0, 0.8, 9.0)  # another focal length lowers the residuals by a fifth
    best, _, tried = climb({(INC_FIXED, ALL): (ALL, GOOD, contradicted)}, 5, known_focal=800.0)
    assert best is None and (LOOSE_FIXED, ALL) in tried


def contradicting(photos: tuple[int, ...], pairs: list[tuple[int, int]]) -> Evidence:
    """Return evidence in which the given pairs contradict the poses, and {last photo} is the weakest split."""
    free = np.full((len(photos), len(photos)), 100.0)
    explained = free.copy()
    for i, j in pairs:
        explained[i, j] = explained[j, i] = 10.0
    split = (photos[-1:], photos[:-1])
    return replace(
        BAD, worst_split_explained=0.6, weakest_split=split, free=free, explained_matches=explained
    )


def test_photos_in_contradicting_pairs_are_dropped(climb):
    script = {
        (INC, ALL): (ALL, contradicting(ALL, [(0, 1), (0, 3)]), DETERMINED),
        (INC, (1, 2, 3, 4)): ((1, 2, 3, 4), GOOD, DETERMINED),
    }
    best, _, _ = climb(script, 5)
    assert best.certified and best.model.photos == (1, 2, 3, 4)


def test_what_is_left_after_dropping_must_be_tested_by_enough_matches(climb):
    weak = replace(GOOD, least_split_matches=15)
    script = {
        (INC, ALL): (ALL, contradicting(ALL, [(0, 1), (0, 3)]), DETERMINED),
        (INC, (1, 2, 3, 4)): ((1, 2, 3, 4), weak, DETERMINED),
    }
    best, outcomes, _ = climb(script, 5)
    assert best is None
    assert any(
        "after dropping photos" in reason for o in outcomes if o.verdict for reason in o.verdict.reasons
    )
    full_set = {(INC, ALL): (ALL, weak, DETERMINED)}
    assert climb(full_set, 5)[0].certified  # the same evidence is enough when nothing was dropped


def test_the_smaller_side_of_the_weakest_split_is_dropped_too(climb):
    script = {
        (INC, ALL): (ALL, contradicting(ALL, [(0, 1), (0, 3)]), DETERMINED),
        (INC, (0, 1, 2, 3)): ((0, 1, 2, 3), GOOD, DETERMINED),
    }
    best, _, _ = climb(script, 5)
    assert best.certified and best.model.photos == (0, 1, 2, 3)


def test_a_small_certificate_does_not_stop_the_search_for_a_larger_part(climb):
    script = {
        (INC, ALL): ((0, 1, 2), GOOD, DETERMINED),
        (LOOSE, ALL): (ALL, contradicting(ALL, [(0, 1)]), DETERMINED),
        (LOOSE, (0, 1, 2, 3)): ((0, 1, 2, 3), GOOD, DETERMINED),
    }
    best, _, _ = climb(script, 5)
    assert best.model.photos == (0, 1, 2, 3)


def test_the_search_for_parts_ends(climb):
    class Always(dict):
        def get(self, key):
            _, photos = key
            return photos, contradicting(photos, [(0, 1), (1, 2)]), DETERMINED

    best, outcomes, _ = climb(Always(), 9)
    assert best is None and len(outcomes) <= 3 + ladder.MOST_SUBSET_RUNS


def test_the_most_believable_is_plausible_before_large(climb):
    script = {
        (INC, ALL): ((0, 1, 2, 3), GOOD, OPEN),
        (LOOSE, ALL): (ALL, BAD, DETERMINED),
        (GLOBAL, ALL): ((0, 1), replace(GOOD, crossing_tracks=0), DETERMINED),
    }
    _, outcomes, _ = climb(script, 5)
    assert most_believable(outcomes).strategy.name == INC
    assert most_believable(outcomes[1:]).strategy.name == LOOSE
    assert most_believable([]) is None
