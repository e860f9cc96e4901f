import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recon.datasets.resize import PictureSize, area_average
from recon.errors import ReconError


def overlaps(old: int, new: int) -> np.ndarray:
    """Return [new, old] weights: how much of each new pixel's span every old pixel covers."""
    edges = np.arange(new + 1) * old / new
    start, end = edges[:-1, None], edges[1:, None]
    pixel = np.arange(old)[None]
    covered = np.minimum(end, pixel + 1) - np.maximum(start, pixel)
    return np.clip(covered, 0, None) / (end - start)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 23), st.integers(1, 23), st.integers(1, 23), st.integers(1, 23), st.booleans())
def test_every_pixel_is_the_mean_of_its_area(height, width, new_height, new_width, gray) -> None:
    new_height, new_width = min(height, new_height), min(width, new_width)
    shape = (height, width) if gray else (height, width, 3)
    values = np.random.default_rng(0).random(shape, dtype=np.float32)
    expected = np.einsum(
        "ij,jk...,lk->il...", overlaps(height, new_height), values, overlaps(width, new_width)
    )
    found = area_average(values, new_width, new_height)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=2e-6)


def test_the_same_size_is_untouched_and_larger_is_refused() -> None:
    values = np.zeros((4, 6, 3), np.float32)
    assert area_average(values, 6, 4) is values
    with pytest.raises(ValueError, match="shrinks only: 6x4 to 7x4"):
        area_average(values, 7, 4)


def test_sizes() -> None:
    assert PictureSize().of(4032, 3024) == (4032, 3024)
    assert PictureSize(downscale=8).of(4032, 3024) == (504, 378)
    assert PictureSize(max_size=1600).of(2832, 2128) == (1600, 1202)
    assert PictureSize(max_size=1600).of(640, 480) == (640, 480)
    assert PictureSize(downscale=2, max_size=1600).of(2000, 1000) == (1000, 500)
    assert PictureSize(downscale=4, max_size=100).of(1000, 2000) == (50, 100)
    assert PictureSize(downscale=100).of(50, 400) == (1, 4)


@pytest.mark.parametrize("wrong", [{"downscale": 0.5}, {"downscale": float("nan")}, {"max_size": 0}])
def test_impossible_sizes_are_refused(wrong: dict) -> None:
    with pytest.raises(ReconError, match="must be 1"):
        PictureSize(**wrong)
