"""Camera rigs: where a recipe's cameras stand."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy import ndarray

from recon.errors import ReconError
from recon.scene import Camera, look_at

Point = tuple[float, float, float]

_UP = np.array([0.0, 0.0, 1.0])


class Rig(Protocol):
    """What a recipe may name under `cameras.train` and `cameras.test`; the fields are its settings."""

    def stand(self, random: np.random.Generator) -> list[tuple[ndarray, ndarray]]:
        """Return (position, target) of every camera, in metres, world axes with z up."""


@dataclass(frozen=True)
class Arc:
    """Cameras on part of a circle around a target; azimuth 0 is at -y, growing counter-clockwise seen from above."""

    count: int = 3
    target: Point = (0.0, 0.0, 0.0)
    distance: float = 1.0
    """Metres from the target."""
    azimuth: tuple[float, float] = (-15.0, 15.0)
    """First and last camera's angle in degrees; the full circle leaves its doubled end out."""
    elevation: tuple[float, ...] = (25.0,)
    """Degrees above the horizon, repeated in turn from camera to camera."""
    jitter: float = 0.0
    """Random shift of every camera and its target in metres, as of a photographer's hand."""

    def stand(self, random: np.random.Generator) -> list[tuple[ndarray, ndarray]]:
        first, last = self.azimuth
        closed = abs(abs(last - first) - 360.0) < 1e-6
        angles = np.linspace(first, last, self.count, endpoint=not closed)
        if self.count == 1:
            angles = np.array([(first + last) / 2])
        return [
            _around(
                self.target,
                self.distance,
                angle,
                self.elevation[i % len(self.elevation)],
                self.jitter,
                random,
            )
            for i, angle in enumerate(angles)
        ]


@dataclass(frozen=True)
class Hemisphere:
    """Cameras spread evenly over part of a hemisphere (golden-angle spiral)."""

    count: int = 49
    target: Point = (0.0, 0.0, 0.0)
    distance: float = 1.0
    azimuth: tuple[float, float] = (-180.0, 180.0)
    """Degrees."""
    elevation: tuple[float, float] = (10.0, 75.0)
    """Lowest and highest camera's degrees above the horizon."""
    jitter: float = 0.0

    def stand(self, random: np.random.Generator) -> list[tuple[ndarray, ndarray]]:
        low, high = np.sin(np.radians(self.elevation))
        share = (np.arange(self.count) + 0.5) / self.count
        elevations = np.degrees(np.arcsin(low + (high - low) * share))
        turn = (np.arange(self.count) * 0.6180339887) % 1.0  # the golden section leaves no gaps
        azimuths = self.azimuth[0] + (self.azimuth[1] - self.azimuth[0]) * turn
        return [
            _around(self.target, self.distance, azimuth, elevation, self.jitter, random)
            for azimuth, elevation in zip(azimuths, elevations, strict=True)
        ]


@dataclass(frozen=True)
class Grid:
    """Forward-facing cameras on an upright rectangle, all looking at one target, as hand-held captures do."""

    count: int = 9
    center: Point = (0.0, -1.0, 0.5)
    target: Point = (0.0, 0.0, 0.5)
    spread: tuple[float, float] = (0.5, 0.3)
    """Width and height of the rectangle in metres."""
    jitter: float = 0.0

    def stand(self, random: np.random.Generator) -> list[tuple[ndarray, ndarray]]:
        center, target = np.array(self.center), np.array(self.target)
        pose = look_at(center, target, _UP)
        right, up = pose[0, :3], -pose[1, :3]
        columns = int(np.ceil(np.sqrt(self.count * max(self.spread[0], 1e-9) / max(self.spread[1], 1e-9))))
        columns = min(max(columns, 1), self.count)
        rows = int(np.ceil(self.count / columns))
        result = []
        for index in range(self.count):
            row, column = divmod(index, columns)
            if row % 2:
                column = (
                    columns - 1 - column
                )  # back and forth, so that neighbours in name are neighbours in space
            x = (column / (columns - 1) - 0.5) if columns > 1 else 0.0
            y = (row / (rows - 1) - 0.5) if rows > 1 else 0.0
            shift = self.jitter * random.standard_normal(3)
            position = center + x * self.spread[0] * right + y * self.spread[1] * up + shift
            result.append((position, target + self.jitter * random.standard_normal(3)))
        return result


@dataclass(frozen=True)
class Positions:
    """Cameras at given places."""

    positions: tuple[Point, ...] = ((0.0, -1.0, 0.5),)
    target: Point = (0.0, 0.0, 0.0)

    def stand(self, random: np.random.Generator) -> list[tuple[ndarray, ndarray]]:
        return [(np.array(position), np.array(self.target)) for position in self.positions]


RIGS: dict[str, type] = {"arc": Arc, "hemisphere": Hemisphere, "grid": Grid, "positions": Positions}


def cameras_of(
    rig: Rig, size: tuple[int, int], field_of_view: float, random: np.random.Generator, where: str
) -> list[Camera]:
    """Return a rig's cameras.

    Args:
        size: (width, height) in pixels.
        field_of_view: horizontal, in degrees.
        where: the rig's name for error messages.

    Raises:
        ReconError: when a camera would stand on its target or look straight up or down.
    """
    width, height = size
    focal = width / 2 / np.tan(np.radians(field_of_view) / 2)
    cameras = []
    for index, (position, target) in enumerate(rig.stand(random)):
        try:
            pose = look_at(position, target, _UP)
        except ValueError as error:
            raise ReconError(
                f"{where}: camera {index} at {np.round(position, 4).tolist()} cannot look at "
                f"{np.round(target, 4).tolist()}: it must not stand on, straight above or straight below its target"
            ) from error
        cameras.append(Camera(pose, focal, focal, width / 2, height / 2, width, height))
    return cameras


def _around(
    target: Point,
    distance: float,
    azimuth: float,
    elevation: float,
    jitter: float,
    random: np.random.Generator,
) -> tuple[ndarray, ndarray]:
    a, e = np.radians(azimuth), np.radians(elevation)
    direction = np.array([np.sin(a) * np.cos(e), -np.cos(a) * np.cos(e), np.sin(e)])
    position = np.array(target) + distance * direction + jitter * random.standard_normal(3)
    return position, np.array(target) + jitter * random.standard_normal(3)
