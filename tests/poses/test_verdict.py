from dataclasses import replace

import pytest

from recon.poses.evidence import Evidence
from recon.poses.focal_test import FocalTest
from recon.poses.verdict import distortion_limit, judge

GOOD = Evidence(
    worst_pair_explained=0.9,
    explained=0.97,
    worst_split_explained=0.95,
    verified_explained=0.98,
    crossing_tracks=40,
    largest_distortion=0.02,
    relative_focal=0.72,
    focal=FocalTest(ambiguity=3.0, residual_ratio=1.4, degrees=3.0),
    least_split_matches=200,
)


def test_good_evidence_is_certified():
    assert judge(GOOD, 5).level == "certified" and judge(GOOD, 5).reasons == ()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"worst_pair_explained": 0.859}, "one pair of photos"),
        ({"verified_explained": 0.929}, "verified matches"),
        ({"crossing_tracks": 5}, "only 5 points"),
        ({"largest_distortion": 0.51}, "distorted"),
        ({"worst_pair_explained": float("nan")}, "one pair of photos"),
    ],
)
def test_each_rule_refuses_alone(change, words):
    verdict = judge(replace(GOOD, **change), 5)
    assert verdict.level == "uncertified" and len(verdict.reasons) == 1 and words in verdict.reasons[0]


@pytest.mark.parametrize(
    ("ambiguity", "residual_ratio"),
    [(10.01, 1.4), (44.0, 1.01), (float("nan"), float("nan")), (float("inf"), 1.0), (0.05, 1.002)],
)
def test_an_open_focal_length_is_plausible_unless_confirmed(ambiguity, residual_ratio):
    evidence = replace(GOOD, focal=FocalTest(ambiguity, residual_ratio, 3.0))
    verdict = judge(evidence, 5)
    assert verdict.level == "plausible" and "focal length" in verdict.reasons[0]
    assert judge(evidence, 5, focal_confirmed=True).level == "certified"


def test_an_untested_focal_length_is_a_doubt():
    assert judge(replace(GOOD, focal=None), 5).level == "plausible"


def test_a_confirmed_focal_length_excuses_nothing_else():
    assert judge(replace(GOOD, worst_pair_explained=0.5), 5, focal_confirmed=True).level == "uncertified"


def test_two_photos_are_never_certified():
    verdict = judge(replace(GOOD, crossing_tracks=0), 2, focal_confirmed=True)
    assert verdict.level == "plausible" and "two photos" in verdict.reasons[0]


@pytest.mark.parametrize("change", [{"least_split_matches": 49}, {"worst_split_explained": 0.85}])
def test_chosen_subsets_are_judged_harder(change):
    evidence = replace(GOOD, **change)
    assert judge(evidence, 5).level == "certified"
    assert judge(evidence, 5, chosen_subset=True).level == "uncertified"


def test_the_distortion_limit_grows_with_the_focal_length():
    assert distortion_limit(0.4) == distortion_limit(0.72) == 0.5
    assert distortion_limit(0.9) == pytest.approx(0.5 * (0.9 / 0.72) ** 2)
    assert distortion_limit(5.0) == 1.0
