"""A small moving scene: a still sheet of Gaussians and a ball of them that moves, seen by five cameras."""

from dataclasses import dataclass

import numpy as np
import torch

from recon.queen.anchors import anchor_cells
from recon.queen.train_frame import Moment
from recon.scene import Camera, Pixels, View, look_at
from recon.splats import Gaussians
from recon.splats.render import render
from recon.streaming import StreamState, state_of
from recon.train import training_view

SIZE = 48
PIXEL = 4.0 / 60.0
"""World size of a pixel at the scene's depth."""


@dataclass
class Moving:
    """The scene.

    Attributes:
        state: of the moment before, with anchors.
        ball: rows of the state that belong to the ball.
        before, now: what the cameras saw at the two moments.
    """

    state: StreamState
    ball: np.ndarray
    before: Moment
    now: Moment

    def error(self, state: StreamState) -> float:
        """Return the mean squared error of a state at the later moment."""
        total = 0.0
        for view, camera in zip(self.now.views, cameras(), strict=True):
            total += float((render(state.gaussians(), camera).color - view.image).square().mean())
        return total / len(self.now.views)


def cameras() -> list[Camera]:
    poses = [
        look_at(np.array([x, 0.3 * x, -4.0]), np.zeros(3), np.array([0.0, -1.0, 0.0]))
        for x in (-1.2, -0.6, 0.0, 0.6, 1.2)
    ]
    return [Camera(pose, 60.0, 60.0, SIZE / 2, SIZE / 2, SIZE, SIZE) for pose in poses]


def scene(shift: float) -> Gaussians:
    random = np.random.default_rng(0)
    side = np.linspace(-1.4, 1.4, 15)
    sheet = np.stack([*np.meshgrid(side, side), np.full((15, 15), 0.8)], -1).reshape(-1, 3)
    ball = random.normal(size=(60, 3)) * 0.18 + [-0.3 + shift, 0.0, 0.0]
    means = np.concatenate([sheet, ball]).astype(np.float32)
    colors = random.uniform(-1.2, 1.2, (len(means), 1, 3))
    colors[len(sheet) :] += [0.8, -0.4, -0.8]
    scales = np.full((len(means), 3), np.log(0.09))
    scales[len(sheet) :] = np.log(0.07)
    quaternions = np.tile([1.0, 0, 0, 0], (len(means), 1))
    sh = np.concatenate([colors, np.zeros((len(means), 3, 3))], axis=1)
    arrays = (means, scales, quaternions, np.full(len(means), 2.0), sh)
    return Gaussians(*(torch.tensor(array, dtype=torch.float32) for array in arrays))


def moment(gaussians: Gaussians) -> Moment:
    views = []
    for number, camera in enumerate(cameras()):
        image = render(gaussians, camera).color.numpy()
        views.append(training_view(View(str(number), camera, lambda image=image: Pixels(image))))
    return Moment(views)


def moving_scene() -> Moving:
    first = scene(0.0)
    state, order = state_of(first, anchors=anchor_cells(first.means.numpy(), 6 * PIXEL))
    return Moving(state, np.flatnonzero(order >= 225), moment(first), moment(scene(0.12)))
