"""Fixtures that the whole suite shares: small ray-cast scenes with exact cameras and depth."""

import pytest

from recon.synth.raycast import RaycastScene, raycast_scene


@pytest.fixture(scope="session")
def textured_scene() -> RaycastScene:
    """A room corner, 96x72: five inputs over 30 degrees, two held-out views, depth truth by view name."""
    return raycast_scene("box_room", views=5, test_views=2, size=(96, 72))


@pytest.fixture(scope="session")
def textured_scene_large() -> RaycastScene:
    """The same room at 160x120 with three inputs and one held-out view."""
    return raycast_scene("box_room", views=3, test_views=1, size=(160, 120))


@pytest.fixture(scope="session")
def object_scene() -> RaycastScene:
    """A group of solids on black with masks, 96x72: eight inputs all around and two held-out views."""
    return raycast_scene("object", views=8, test_views=2, size=(96, 72))
