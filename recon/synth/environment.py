"""Surroundings that light a scene from all sides and mirror in gloss, as latitude-longitude pictures."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from recon.synth.noise import smoothstep

_HEIGHT = 256


def environment_map(look: str, strength: float) -> Float[ndarray, "H W 3"] | None:
    """Return linear radiance over all directions, first row straight up; None where there is no light.

    Args:
        look: "room" has warm walls, a pale ceiling and a darker floor, smooth on purpose: bright spots belong to
            lamps, which are sampled with far less noise; "sky" is an overcast sky over ground with a veiled sun;
            "dark" is black.
        strength: factor on the radiance.
    """
    if look == "dark" or strength <= 0:
        return None
    theta = (np.arange(_HEIGHT) + 0.5) / _HEIGHT * np.pi
    azimuth = (np.arange(2 * _HEIGHT) + 0.5) / _HEIGHT * np.pi
    elevation = np.degrees(np.pi / 2 - theta)[:, None] * np.ones((1, 2 * _HEIGHT))
    around = np.degrees(azimuth)[None, :] * np.ones((_HEIGHT, 1))
    up = smoothstep(-12.0, 12.0, elevation)[..., None]
    if look == "sky":
        sky = (
            np.array([0.85, 0.95, 1.1])
            * (0.75 + 0.45 * np.sin(np.radians(np.maximum(elevation, 0.0))))[..., None]
        )
        picture = sky * up + np.array([0.22, 0.20, 0.17]) * (1 - up)
        picture += _window(around, elevation, 60.0, 48.0, 16.0, 12.0, soft=10.0) * [9.0, 8.4, 7.4]
    else:
        walls = np.array([0.42, 0.39, 0.35]) * (0.7 + 0.3 * np.sin(np.radians(3 * around)))[..., None]
        picture = walls * up + np.array([0.16, 0.12, 0.09]) * (1 - up)
        ceiling = smoothstep(35.0, 65.0, elevation)[..., None]
        picture = picture * (1 - ceiling) + np.array([0.75, 0.73, 0.70]) * ceiling
    return strength * picture


def _window(
    around: ndarray,
    elevation: ndarray,
    at: float,
    up: float,
    half_width: float,
    half_height: float,
    *,
    soft: float,
) -> ndarray:
    """Return [H, W, 1] coverage of a rectangle in degrees of azimuth and elevation, with soft edges."""
    sideways = np.abs((around - at + 180.0) % 360.0 - 180.0)
    across = 1 - smoothstep(half_width - soft, half_width + soft, sideways)
    along = 1 - smoothstep(half_height - soft, half_height + soft, np.abs(elevation - up))
    return (across * along)[..., None]
