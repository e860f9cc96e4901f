"""Small pictures and cameras that the readers' tests write to disk."""

from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image

from recon.scene import Camera, look_at


def smooth_picture(width: int, height: int, seed: int = 0) -> UInt8[ndarray, "H W 3"]:
    """Return a smooth random picture without symmetries, which lossy formats keep well."""
    random = np.random.default_rng(seed)
    x, y = np.meshgrid((np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height)
    channels = [
        0.5 + 0.2 * np.sin(3 * x + 2 * y * y + phase) + 0.25 * (x * weight - y * (1 - weight))
        for phase, weight in random.uniform(0, 1, (3, 2)) * [6.28, 1]
    ]
    return np.round(np.clip(np.stack(channels, axis=-1), 0, 1) * 255).astype(np.uint8)


def write_picture(
    path: Path, width: int = 32, height: int = 24, seed: int = 0, **options
) -> UInt8[ndarray, "H W 3"]:
    """Write a smooth picture in the format that the name says and return its pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = smooth_picture(width, height, seed)
    Image.fromarray(pixels).save(path, **options)
    return pixels


def ring_cameras(count: int, width: int = 32, height: int = 24) -> list[Camera]:
    """Return cameras on a ring that look at the origin, each with its own intrinsics and an off-centre axis."""
    cameras = []
    for number in range(count):
        angle = 0.5 * number
        position = np.array([3 * np.sin(angle), -0.8 - 0.1 * number, 3 * np.cos(angle)])
        pose = look_at(position, np.array([0.1, 0.2, -0.1]), np.array([0.0, -1.0, 0.0]))
        cameras.append(
            Camera(pose, 30 + number, 31 + 2 * number, width / 2 + 1.25, height / 2 - 0.75, width, height)
        )
    return cameras


def assert_same_camera(found: Camera, expected: Camera, tolerance: float = 1e-9) -> None:
    """Compare two cameras by all their numbers."""
    assert (found.width, found.height) == (expected.width, expected.height)
    np.testing.assert_allclose(found.intrinsics, expected.intrinsics, rtol=tolerance)
    np.testing.assert_allclose(found.world_to_camera, expected.world_to_camera, atol=tolerance)
