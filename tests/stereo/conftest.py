"""Scenes with exact depth for the stereo tests."""

import pytest

from recon.stereo import estimate_depth
from recon.synth.raycast import raycast_scene


@pytest.fixture(scope="session")
def room():
    """A textured room corner with boxes and a sphere, three inputs of 224x168 and one held-out view."""
    return raycast_scene("box_room", views=3, test_views=1, size=(224, 168), supersampling=2)


@pytest.fixture(scope="session")
def room_depths(room):
    return estimate_depth(room.scene.train_views)
