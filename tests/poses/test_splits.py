from itertools import combinations

import numpy as np
import pytest

from recon.poses.splits import crossing_sum, crossing_tracks, splits


@pytest.mark.parametrize("count", [2, 3, 5, 9])
def test_every_split_once(count):
    rows = splits(np.ones((count, count)))
    assert len(rows) == 2 ** (count - 1) - 1
    assert len(np.unique(rows, axis=0)) == len(rows)
    assert not rows[:, 0].any() and rows.any(axis=1).all()


def test_one_photo_has_no_split():
    assert len(splits(np.ones((1, 1)))) == 0


def test_many_photos_keep_the_split_between_clusters():
    cluster = np.array([0] * 9 + [1] * 7)
    affinity = np.where(cluster[:, None] == cluster, 300.0, 4.0)
    rows = splits(affinity)
    assert len(rows) < 400
    assert (rows == (cluster == 1)).all(axis=1).any()
    assert not rows[:, 0].any() and rows.any(axis=1).all()


def test_crossing_sum_against_brute_force():
    rng = np.random.default_rng(0)
    weights = rng.integers(0, 50, size=(6, 6)).astype(float)
    weights = np.triu(weights, 1) + np.triu(weights, 1).T
    rows = splits(weights)
    expected = [sum(weights[i, j] for i, j in combinations(range(6), 2) if row[i] != row[j]) for row in rows]
    np.testing.assert_allclose(crossing_sum(rows, weights), expected)


def test_crossing_tracks_against_brute_force():
    rng = np.random.default_rng(1)
    visible = rng.random((200, 5)) < 0.5
    rows = splits(np.ones((5, 5)))
    expected = [
        sum(
            1
            for track in visible
            if track.sum() >= 3 and len({bool(row[i]) for i in np.nonzero(track)[0]}) == 2
        )
        for row in rows
    ]
    np.testing.assert_array_equal(crossing_tracks(rows, visible), expected)


def test_no_long_track_crosses_nothing():
    visible = np.zeros((10, 4), dtype=bool)
    visible[:, :2] = True
    assert (crossing_tracks(splits(np.ones((4, 4))), visible) == 0).all()
