"""The deterministic scenes of the rasterizer's benchmark and golden tests.

N anisotropic Gaussians fill a cube of side 1 whose centre is two units in front of the camera; their mean radius (three
standard deviations) is 3.3 px at 400x300 and 5.8 px at 800x600. Numbers come from numpy's frozen legacy generator, so
they are the same on every machine and with every numpy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

SIZES = {"400x300": (400, 300), "800x600": (800, 600), "1920x1080": (1920, 1080)}
DISTANCE = 2.0
FOCAL_PER_WIDTH = 1.2
BASE_SCALE = 0.0028
LOG_SPREAD = 0.7
"""Each axis is BASE_SCALE * exp(uniform(-LOG_SPREAD, LOG_SPREAD))."""


@dataclass
class BenchmarkScene:
    """Gaussians with plain colours, a camera, and the upstream gradient of the loss sum(image * upstream)."""

    means: Tensor
    quaternions: Tensor
    scales: Tensor
    opacities: Tensor
    colors: Tensor
    world_to_camera: Tensor
    intrinsics: Tensor
    width: int
    height: int
    upstream: Tensor

    @property
    def parameters(self) -> dict[str, Tensor]:
        names = ("means", "quaternions", "scales", "opacities", "colors")
        return {name: getattr(self, name) for name in names}


def benchmark_scene(count: int, size: str, scale: float = 1.0) -> BenchmarkScene:
    """Make the scene of `count` Gaussians for a picture of `size`; `scale` multiplies the Gaussians' extent."""
    width, height = SIZES[size]
    numbers = np.random.RandomState(0)
    means = numbers.random_sample((count, 3)).astype(np.float32) - 0.5
    quaternions = numbers.random_sample((count, 4)) * 2 - 1
    quaternions /= np.linalg.norm(quaternions, axis=1, keepdims=True)
    spread = np.exp((numbers.random_sample((count, 3)) * 2 - 1) * LOG_SPREAD)
    opacities = 0.1 + 0.89 * numbers.random_sample(count)
    colors = numbers.random_sample((count, 3))
    upstream = (np.random.RandomState(1).random_sample((height, width, 3)) - 0.5) / (width * height)
    pose = np.eye(4)
    pose[2, 3] = DISTANCE
    focal = FOCAL_PER_WIDTH * width

    def tensor(array: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))

    return BenchmarkScene(
        means=tensor(means),
        quaternions=tensor(quaternions),
        scales=tensor(BASE_SCALE * scale * spread),
        opacities=tensor(opacities),
        colors=tensor(colors),
        world_to_camera=tensor(pose),
        intrinsics=tensor(np.array([focal, focal, width / 2, height / 2])),
        width=width,
        height=height,
        upstream=tensor(upstream),
    )
