"""How well a model knows its own errors: the expected error of every pixel of held-out views against the true one."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

BINS = 10
"""Rows of the reliability table: tenths of the pixels, from the most to the least trusted."""

MAX_SAMPLES = 200_000
"""Pixels of one view that are ranked at most, evenly chosen."""


def pixel_error(image: Float[ndarray, "H W 3"], truth: Float[ndarray, "H W 3"]) -> Float[ndarray, "H W"]:
    """Return the absolute difference of two pictures, averaged over the channels."""
    return np.abs(np.clip(image, 0.0, 1.0) - truth).mean(axis=-1)


def confidence_correlation(
    expected: Float[ndarray, "H W"],
    error: Float[ndarray, "H W"],
    valid: Bool[ndarray, "H W"] | None = None,
) -> float | None:
    """Return Spearman's rank correlation of confidence with the true error over the pixels of a view.

    Confidence falls as the expected error grows, so -1 is best and 0 says nothing. None where either is the same
    everywhere.
    """
    from scipy.stats import rankdata

    a, b = _samples(expected, error, valid)
    if a.size < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    return -float(np.corrcoef(rankdata(a), rankdata(b))[0, 1])


class Calibration:
    """Collects pixels of several views, and sorts them by how far they are trusted."""

    def __init__(self) -> None:
        self._expected: list[ndarray] = []
        self._errors: list[ndarray] = []

    def add(
        self,
        expected: Float[ndarray, "H W"],
        error: Float[ndarray, "H W"],
        valid: Bool[ndarray, "H W"] | None = None,
    ) -> None:
        """Add a view's pixels; of large pictures an even selection."""
        a, b = _samples(expected, error, valid)
        self._expected.append(a)
        self._errors.append(b)

    def to_json(self) -> list[dict[str, Any]] | None:
        """Return the reliability table: mean expected and mean true error of each tenth of the pixels.

        The first row holds the pixels that are trusted most. Pixels of the same expected error cannot be told apart
        and have their mean true error in every row that they reach into. None without any pixel.
        """
        if not sum(a.size for a in self._expected):
            return None
        expected, errors = np.concatenate(self._expected), np.concatenate(self._errors)
        levels, level = np.unique(expected, return_inverse=True)
        errors = (np.bincount(level, errors, len(levels)) / np.bincount(level))[level]
        order = np.argsort(expected, kind="stable")
        return [
            {"expected": float(expected[part].mean()), "measured": float(errors[part].mean())}
            for part in np.array_split(order, BINS)
            if part.size
        ]


def _samples(expected: ndarray, error: ndarray, valid: ndarray | None) -> tuple[ndarray, ndarray]:
    """Return the values of the valid pixels, thinned out evenly."""
    if expected.shape != error.shape:
        raise ValueError(f"expected two maps of one shape, got {expected.shape} and {error.shape}")
    a, b = expected.reshape(-1), error.reshape(-1)
    if valid is not None:
        kept = valid.reshape(-1)
        a, b = a[kept], b[kept]
    step = max(1, -(-a.size // MAX_SAMPLES))
    return a[::step].astype(np.float64), b[::step].astype(np.float64)
