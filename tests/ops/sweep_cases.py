"""Pictures for the stereo ops: a textured slanted surface seen by a reference and two sources of other sizes."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from recon.ops import pack_colors
from recon.scene import Camera, look_at
from recon.stereo.consistency import relative_projection


class Case(NamedTuple):
    """Arguments of the stereo ops, and the true inverse depth of the reference."""

    reference: Tensor
    sources: Tensor
    source_sizes: Tensor
    projections: Tensor
    source_depths: Tensor
    inverse_depth: Tensor
    focal: float


def slanted_case(width=53, height=37, slant=0.5, seed=0) -> Case:
    """A plane z = 4 + slant * x with a smooth random texture."""
    rng = np.random.default_rng(seed)
    cameras = [
        camera([0.0, 0.0, 0.0], width, height),
        camera([0.5, 0.1, -0.2], width - 6, height + 5),
        camera([-0.4, -0.2, 0.1], width + 3, height - 4),
    ]
    waves = rng.normal(size=(24, 2)) * 9, rng.uniform(0, 2 * np.pi, (24, 3)), rng.normal(size=(24, 3)) * 0.09
    seen = [render(c, slant, waves) for c in cameras]
    columns, rows = width + 3, height + 5
    sources = torch.zeros(2, rows, columns, dtype=torch.int32)
    depths = torch.zeros(2, rows, columns)
    for number in (0, 1):
        image, depth = seen[number + 1]
        valid = torch.ones(image.shape[:2], dtype=torch.bool)
        valid[:, : 3 + number] = False
        sources[number, : image.shape[0], : image.shape[1]] = pack_colors(
            torch.from_numpy(image).float(), valid
        )
        known = torch.from_numpy(depth).float() * (torch.rand(depth.shape, generator=_generator(seed)) > 0.3)
        known[: image.shape[0] // 3] *= 0.9  # a false surface in front
        known[-5:] *= 1.2  # and one behind
        depths[number, : image.shape[0], : image.shape[1]] = known
    return Case(
        pack_colors(torch.from_numpy(seen[0][0]).float()),
        sources,
        torch.tensor([[c.width, c.height] for c in cameras[1:]], dtype=torch.int32),
        torch.from_numpy(np.stack([relative_projection(cameras[0], c) for c in cameras[1:]])).float(),
        depths,
        torch.from_numpy(1 / seen[0][1]).float(),
        cameras[0].fx,
    )


def camera(position, width, height) -> Camera:
    pose = look_at(np.array(position), np.array([0.0, 0.0, 4.0]), np.array([0.0, -1.0, 0.0]))
    return Camera(pose, 50.0, 52.0, width / 2 + 0.7, height / 2 - 0.4, width, height)


def render(view: Camera, slant: float, waves) -> tuple[np.ndarray, np.ndarray]:
    """Return colours and z of the plane z = 4 + slant * x."""
    far = view.unproject(view.pixel_centers().reshape(-1, 2), np.ones(view.width * view.height))
    ray = far - view.center
    distance = (4 + slant * view.center[0] - view.center[2]) / (ray[:, 2] - slant * ray[:, 0])
    point = view.center + ray * distance[:, None]
    frequency, phase, strength = waves
    pattern = np.sin((point[:, :2] @ frequency.T)[..., None] + phase)
    color = 0.5 + (pattern * strength).sum(axis=1)
    shape = (view.height, view.width)
    return color.clip(0, 1).reshape(*shape, 3), distance.reshape(shape)


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
