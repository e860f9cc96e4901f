"""The stage of the SpaRe stand-in: cameras in rows of arcs, six lamps, a white platform in a black box.

The intrinsics and the distances are those known of DTU, on whose arrangement SpaRe's synthetic half is modelled; the
poses are this project's own. Nothing here depends on a seed: every set has the same calibration.

Source: docs of the SpaRe benchmark and Jensen et al. 2014, Large Scale Multi-view Stereopsis Evaluation.
"""

import numpy as np
from numpy import ndarray

from recon.datasets.spare import ALL_LIGHTS, HEIGHT, WIDTH
from recon.scene import Camera, look_at
from recon.synth.materials import Paint, Plaster
from recon.synth.recipe import Light, Placed
from recon.synth.rigs import Point
from recon.synth.shapes import Plane, Slab

FOCAL_X, FOCAL_Y, CENTER_X, CENTER_Y = 2892.33, 2883.175, 823.205, 619.071
"""DTU's intrinsics at 1600x1200, in pixels."""

NEAREST, FARTHEST = 0.640, 0.755
"""Metres from a camera to the target: the range of DTU's cameras."""

TARGET = (0.0, 0.0, 0.07)
"""The point that the cameras stand around, in metres: 7 cm above the middle of the platform."""

LIGHTINGS = 7
"""Lighting 3 has all lamps on, the others one lamp each, from the left to the right."""

BOX = "box"
"""Name prefix of the black box's walls, whose depth is not recorded."""

_ROWS = (5, 6, 8, 9, 10, 11)  # cameras per row, from the top, for 49 in all
_ELEVATIONS = (62.0, 54.0, 46.0, 38.0, 30.0, 22.0)  # degrees above the platform
_HALF_WIDTHS = (38.0, 40.0, 43.0, 45.0, 47.0, 49.0)  # degrees of azimuth to either side of a row's middle
_AIM = 0.008  # metres by which cameras look beside the target, as a robot arm that was taught by hand does
_ROLL = 2.0  # degrees

# Azimuth (0 at the cameras' side, growing to the right), elevation in degrees, radiance relative to the others.
_LAMPS = (
    (-105.0, 42.0, 0.8), (-62.0, 52.0, 1.0), (-20.0, 64.0, 1.0),
    (20.0, 64.0, 1.0), (62.0, 52.0, 1.0), (105.0, 42.0, 0.8),
)  # fmt: skip
_LAMP_DISTANCE, _LAMP_SIZE = 1.05, 0.16  # metres; smaller lamps make harder shadows and less noise
_LAMP_RADIANCE = (28.0, 27.6, 26.8)  # the platform comes out at 85 to 95 % of white under all lamps
_WALL = 1.3  # metres from the middle to the box's walls
_PLATFORM = 0.60  # metres along its edge


def spare_cameras(count: int = 49) -> list[Camera]:
    """Return the rig's cameras for pictures of 1600x1200, in metres with z up, back and forth through the rows.

    Args:
        count: how many; other numbers than 49 fill the same six rows more densely or more loosely.
    """
    random = np.random.default_rng(49)
    cameras = []
    for row, in_row in enumerate(_row_sizes(count)):
        across = np.linspace(-1, 1, in_row) if in_row > 1 else np.zeros(in_row)
        for place in across if row % 2 == 0 else across[::-1]:
            share = 0.55 * place**2 + 0.45 * row / (len(_ROWS) - 1)
            distance = NEAREST + (FARTHEST - NEAREST) * share
            direction = _direction(_HALF_WIDTHS[row] * place, _ELEVATIONS[row])
            aim = np.array(TARGET) + random.uniform(-_AIM, _AIM, 3)
            pose = _rolled(
                look_at(np.array(TARGET) + distance * direction, aim, np.array([0.0, 0.0, 1.0])),
                random.uniform(-_ROLL, _ROLL),
            )
            cameras.append(Camera(pose, FOCAL_X, FOCAL_Y, CENTER_X, CENTER_Y, WIDTH, HEIGHT))
    return cameras


def lamps(lighting: int) -> tuple[Light, ...]:
    """Return the lamps that are on in a lighting, 0 to 6."""
    if lighting == ALL_LIGHTS:
        return tuple(_lamp(index) for index in range(len(_LAMPS)))
    return (_lamp(lighting if lighting < ALL_LIGHTS else lighting - 1),)


def stage() -> tuple[Placed, ...]:
    """Return the white platform, whose top is z = 0, and the black box around it."""
    white = Plaster("#e9e7e3", contrast=0.22, relief=0.00008)
    platform = Slab((_PLATFORM, _PLATFORM, 0.03), 0.003)
    felt = Paint("#1c1c1c", 0.95)
    wall = Plane((2 * _WALL, 2 * _WALL))
    sides: tuple[tuple[str, Point, Point], ...] = (
        ("floor", (0.0, 0.0, -0.5), (0.0, 0.0, 0.0)),
        ("back", (0.0, _WALL, 0.5), (90.0, 0.0, 0.0)),
        ("front", (0.0, -_WALL, 0.5), (-90.0, 0.0, 0.0)),
        ("left", (-_WALL, 0.0, 0.5), (0.0, 90.0, 0.0)),
        ("right", (_WALL, 0.0, 0.5), (0.0, -90.0, 0.0)),
    )
    return (
        Placed("platform", platform, white, position=(0.0, 0.0, -0.03), texel=0.0005, foreground=False),
        *(
            Placed(f"{BOX}-{side}", wall, felt, position=at, rotation=turn, texel=0.02, foreground=False)
            for side, at, turn in sides
        ),
    )


def in_millimetres(camera: Camera) -> Camera:
    """Return a camera of the rig in the unit of the calibration files."""
    pose = camera.world_to_camera.copy()
    pose[:3, 3] *= 1000.0
    return camera.moved(pose)


def _row_sizes(count: int) -> list[int]:
    """Share cameras out over the rows in proportion to the 49's, the largest remainders first."""
    exact = np.array(_ROWS) * count / sum(_ROWS)
    sizes = np.floor(exact).astype(int)
    for row in np.argsort(sizes - exact, kind="stable")[: count - int(sizes.sum())]:
        sizes[row] += 1
    return [int(size) for size in sizes]


def _direction(azimuth: float, elevation: float) -> ndarray:
    a, e = np.radians(azimuth), np.radians(elevation)
    return np.array([np.sin(a) * np.cos(e), -np.cos(a) * np.cos(e), np.sin(e)])


def _rolled(pose: ndarray, degrees: float) -> ndarray:
    """Turn a camera about its own viewing direction."""
    angle = np.radians(degrees)
    roll = np.eye(4)
    roll[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return roll @ pose


def _lamp(index: int) -> Light:
    azimuth, elevation, strength = _LAMPS[index]
    position = _LAMP_DISTANCE * _direction(azimuth, elevation)
    red, green, blue = (strength * value for value in _LAMP_RADIANCE)
    x, y, z = (float(value) for value in position)
    return Light((x, y, z), (0.0, 0.0, 0.05), (_LAMP_SIZE, _LAMP_SIZE), (red, green, blue))
