from pathlib import Path

import numpy as np

from recon.poses.diagnosis import diagnose
from recon.poses.duplicates import find_duplicates
from recon.poses.features import FeatureSet, PairMatches


def features(
    counts: dict[tuple[int, int], int], names: str = "ABCDE", only_rotation: bool = False
) -> FeatureSet:
    """Return a set without pictures whose pairs have the given numbers of verified matches."""
    photos = range(len(names))
    matches = {}
    for i in photos:
        for j in range(i + 1, len(names)):
            rows = np.arange(counts.get((i, j), 0))[:, None].repeat(2, axis=1)
            matches[i, j] = PairMatches(rows, rows, only_rotation)
    rng = np.random.default_rng(0)
    return FeatureSet(
        names=tuple(f"{name}.jpg" for name in names),
        sizes=((800, 600),) * len(names),
        scales=((1.0, 1.0),) * len(names),
        lens_of=(0,) * len(names),
        known_focal=(None,) * len(names),
        keypoints=tuple(rng.uniform(0, 600, size=(500, 2)) for _ in photos),
        matches=matches,
        database=Path("none"),
        pictures=Path("none"),
    )


def test_a_photo_without_overlap_is_named_with_its_closest():
    sentences = diagnose(features({(0, 1): 200, (1, 2): 150, (0, 2): 90, (1, 3): 7}, "ABCD"), [], None, {})
    assert sentences == (
        "D.jpg does not overlap enough with the other photos: only 7 verified matches between D.jpg and B.jpg, the "
        "closest (about 30 are needed). Take one or two photos between D.jpg and B.jpg.",
    )


def test_two_groups_get_one_sentence():
    sentences = diagnose(features({(0, 1): 200, (1, 2): 150, (3, 4): 90, (2, 3): 12}), [], None, {})
    assert len(sentences) == 1
    assert (
        "D.jpg and E.jpg overlap with each other but do not" in sentences[0]
        and "between D.jpg and C.jpg" in sentences[0]
    )


def test_two_strangers_get_one_sentence():
    sentences = diagnose(features({}, "AB"), [], None, {})
    assert len(sentences) == 1 and "no verified matches between B.jpg and A.jpg" in sentences[0]


def test_a_set_without_any_overlap_gets_one_sentence():
    sentences = diagnose(features({(1, 4): 9}), [], None, {})
    assert len(sentences) == 1
    assert "No two of the photos A.jpg, B.jpg, C.jpg, D.jpg and E.jpg overlap enough" in sentences[0]
    assert "B.jpg and E.jpg with only 9 verified matches" in sentences[0]


def test_many_loners_are_listed():
    sentences = diagnose(features({(0, 1): 90, (1, 2): 20, (1, 3): 10}, "ABCDEFG"), [], None, {})
    assert len(sentences) == 4 and "C.jpg" in sentences[0] and "D.jpg" in sentences[1]
    assert sentences[3] == "The same holds for F.jpg and G.jpg."


def test_turning_without_moving_is_recognised():
    sentences = diagnose(
        features({(0, 1): 200, (1, 2): 150, (0, 2): 120}, "ABC", only_rotation=True), [], None, {}
    )
    assert "turned without moving" in sentences[0]


def test_strong_overlap_without_a_model_asks_for_sideways_movement():
    sentences = diagnose(features({(0, 1): 200, (1, 2): 150, (0, 2): 120}, "ABC"), [], None, {})
    assert "move sideways" in sentences[0]


def test_photos_left_out_before_are_explained():
    left_out = {"A.jpg": "only 3 features were found in it"}
    sentences = diagnose(features({}, "AB"), [], None, left_out)
    assert sentences[0] == "A.jpg takes no part: only 3 features were found in it."
    assert "Fewer than two usable photos" in sentences[1]


def test_duplicates_need_matches_that_stand_still():
    from dataclasses import replace

    apart = features({(0, 1): 450}, "AB")
    assert find_duplicates(apart) == {}
    same = replace(apart, keypoints=(apart.keypoints[0], apart.keypoints[0] + 0.2))
    assert find_duplicates(same) == {1: 0}
    few = replace(same, matches={(0, 1): PairMatches(*(np.arange(40)[:, None].repeat(2, axis=1),) * 2)})
    assert find_duplicates(few) == {}
