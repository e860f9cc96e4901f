"""Smooth random functions of space of known finest wavelength, so that textures made of them do not alias."""

import cv2
import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.ndimage import map_coordinates

_CELLS = 32  # cells along an edge of the random table; octaves are turned and shifted, so no repeat shows
_FINE = 4  # table samples per cell, eight per wavelength, between which values are interpolated linearly


class Noise:
    """Draws independent smooth random functions of space, the same ones for the same seed and order of calls."""

    def __init__(self, *seed: int) -> None:
        self.random = np.random.default_rng(list(seed))
        white = self.random.standard_normal((_CELLS, _CELLS, _CELLS)).astype(np.float32)
        self._table = _spline_samples(white)

    def smooth(
        self, points: Float[ndarray, "H W 3"], wavelength: float, texel: float = 0.0
    ) -> Float[ndarray, "H W"]:
        """Return a function of zero mean and unit deviation with almost no energy below a wavelength.

        Args:
            points: where to evaluate, neighbours in the array being neighbours in space.
            wavelength: the shortest wavelength, in the points' unit.
            texel: distance of neighbouring points, if they are so dense that the function may be interpolated
                between them (ten samples per wavelength are computed); 0 to compute every point.
        """
        rotation, _ = np.linalg.qr(self.random.standard_normal((3, 3)))
        offset = self.random.uniform(0, _CELLS * _FINE, 3).astype(np.float32)
        height, width = points.shape[:2]
        stride = max(1, int(wavelength / (10 * texel))) if texel > 0 else 1
        rows, columns = max(2, height // stride), max(2, width // stride)
        coarse = stride > 1 and rows < height and columns < width
        if coarse:
            at_rows = np.linspace(0, height - 1, rows).round().astype(int)
            at_columns = np.linspace(0, width - 1, columns).round().astype(int)
            points = points[np.ix_(at_rows, at_columns)]
        scale = np.float32(2.0 * _FINE / wavelength)  # two cells per wavelength: the table's own limit
        cells = points.astype(np.float32) @ (rotation.T.astype(np.float32) * scale) + offset
        values = map_coordinates(
            self._table,
            np.moveaxis(cells, -1, 0),
            order=1,
            mode="grid-wrap",
            prefilter=False,
            output=np.float32,
        )
        if coarse:
            x = np.interp(np.arange(width), at_columns, np.arange(columns)).astype(np.float32)
            y = np.interp(np.arange(height), at_rows, np.arange(rows)).astype(np.float32)
            grid_x, grid_y = np.meshgrid(x, y)
            values = cv2.remap(values, grid_x, grid_y, cv2.INTER_LINEAR)
        return values

    def fractal(
        self,
        points: Float[ndarray, "H W 3"],
        coarsest: float,
        finest: float,
        *,
        gain: float = 0.6,
        texel: float = 0.0,
    ) -> Float[ndarray, "H W"]:
        """Return a sum of octaves from the coarsest to the finest wavelength, of unit deviation.

        Args:
            gain: amplitude of an octave relative to the next coarser one.
        """
        octaves = max(1, 1 + int(np.floor(np.log2(max(coarsest / finest, 1.0)))))
        total = np.zeros(points.shape[:2], np.float32)
        power = 0.0
        for octave in range(octaves):
            total += np.float32(gain**octave) * self.smooth(points, coarsest / 2.0**octave, texel)
            power += gain ** (2 * octave)
        return total / np.float32(np.sqrt(power))


def _spline_samples(white: Float[ndarray, "C C C"]) -> Float[ndarray, "F F F"]:
    """Return a periodic table's cubic B-spline interpolation at finer places, scaled to unit deviation."""
    place = np.arange(_CELLS * _FINE) / _FINE
    cell, t = np.floor(place).astype(int), place - np.floor(place)
    weights = np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3]) / 6
    matrix = np.zeros((_CELLS * _FINE, _CELLS), np.float32)
    for tap in range(4):
        matrix[np.arange(_CELLS * _FINE), (cell + tap - 1) % _CELLS] += weights[tap]
    fine = np.einsum("abc,ia,jb,kc->ijk", white, matrix, matrix, matrix, optimize=True)
    return (fine / fine.std()).astype(np.float32)


def smoothstep(low: float, high: float, value: ndarray) -> ndarray:
    """Return 0 below `low`, 1 above `high` and a smooth rise between them."""
    t = np.clip((value - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)
