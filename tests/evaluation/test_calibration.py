"""Confidence against true error: ranks, and the reliability table."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from recon.evaluation.calibration import BINS, Calibration, confidence_correlation, pixel_error


def test_the_correlation_is_spearmans_with_the_sign_of_confidence():
    rng = np.random.default_rng(0)
    expected = rng.random((40, 50))
    error = expected**2 + 0.2 * rng.random((40, 50))
    reference = spearmanr(-expected.ravel(), error.ravel()).statistic
    assert confidence_correlation(expected, error) == pytest.approx(reference, abs=1e-9)
    assert confidence_correlation(expected, expected**3) == pytest.approx(-1)
    assert confidence_correlation(expected, -expected) == pytest.approx(1)


def test_what_says_nothing_has_no_correlation():
    flat, error = np.zeros((5, 5)), np.random.default_rng(1).random((5, 5))
    assert confidence_correlation(flat, error) is None
    assert confidence_correlation(error, error, np.zeros((5, 5), bool)) is None


def test_invalid_pixels_do_not_count():
    expected = np.arange(12.0).reshape(3, 4)
    error = expected.copy()
    error[0] = 99
    valid = np.ones((3, 4), bool)
    valid[0] = False
    assert confidence_correlation(expected, error, valid) == pytest.approx(-1)


def test_the_table_goes_from_trusted_to_doubted():
    calibration = Calibration()
    assert calibration.to_json() is None
    for offset in (0.0, 0.5):
        ramp = np.linspace(0, 0.5, 1000).reshape(20, 50) + offset
        calibration.add(ramp, 2 * ramp)
    rows = calibration.to_json()
    assert len(rows) == BINS
    assert [row["expected"] for row in rows] == sorted(row["expected"] for row in rows)
    for row in rows:
        assert row["measured"] == pytest.approx(2 * row["expected"])
    assert rows[0]["expected"] == pytest.approx(0.05, abs=0.001)


def test_the_error_of_a_pixel_is_the_mean_over_its_channels():
    image = np.array([[[0.5, 1.5, 0.0]]], np.float32)
    assert pixel_error(image, np.array([[[0.2, 1.0, 0.3]]], np.float32))[0, 0] == pytest.approx(0.2)


def test_maps_of_different_shapes_are_a_mistake():
    with pytest.raises(ValueError, match="one shape"):
        confidence_correlation(np.zeros((2, 2)), np.zeros((2, 3)))


def test_pixels_of_the_same_expectation_share_their_error():
    calibration = Calibration()
    expected = np.zeros((10, 10))
    expected[8:] = 1
    error = np.zeros((10, 10))
    error[0] = 0.8  # the first tenth of the pixels that are trusted fully
    error[8:] = 0.5
    calibration.add(expected, error)
    table = calibration.to_json()
    assert [row["measured"] for row in table] == pytest.approx([0.1] * 8 + [0.5] * 2)
