"""A small room whose depth is known, laid out as grids of rays."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from recon.coherence import PointFlows, pixel_grids
from recon.priors import StereoFlow
from recon.stereo import DepthMap
from recon.synth.raycast import RaycastScene, raycast_scene


@pytest.fixture(scope="session")
def truth_as_stereo() -> Callable[[RaycastScene], list[DepthMap]]:
    """Return a scene's true depth as if stereo had found it."""
    return _truth_as_stereo


def _truth_as_stereo(raycast: RaycastScene) -> list[DepthMap]:
    return [
        DepthMap(
            raycast.depths[view.name],
            np.ones_like(raycast.depths[view.name]),
            np.zeros((*raycast.depths[view.name].shape, 3), np.float32),
            np.zeros(raycast.depths[view.name].shape, bool),
        )
        for view in raycast.scene.train_views
    ]


@pytest.fixture(scope="session")
def room() -> RaycastScene:
    """Three photos of a room, 64x48, and a held-out one."""
    return raycast_scene("box_room", views=3, test_views=1, size=(64, 48))


@pytest.fixture
def grids(room):
    views = room.scene.train_views
    return pixel_grids(views, [room.depths[view.name] for view in views], cell=1, layers=5)


@pytest.fixture
def flows(room, grids, truth_as_stereo) -> PointFlows:
    views = room.scene.train_views
    sizes = [(view.camera.height, view.camera.width) for view in views]
    return PointFlows(StereoFlow()(views, truth_as_stereo(room)), grids, sizes)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)
