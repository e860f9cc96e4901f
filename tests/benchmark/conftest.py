"""A small scene, and a request that is done in seconds."""

import sys
from pathlib import Path

import pytest

from recon.benchmark.request import Request

# Workers are started as fresh processes: what they run must be importable there by its name.
sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent / "datasets")]


@pytest.fixture(scope="session")
def room(textured_scene, tmp_path_factory) -> Path:
    """A scene folder in the transforms layout with a split file: five inputs, two held-out views."""
    from make_scenes import write_scene

    folder = tmp_path_factory.mktemp("data") / "room"
    write_scene(folder, textured_scene.scene)
    return folder


@pytest.fixture
def request_room(room, tmp_path):
    """Return a request for two seeds of the room, with changes."""
    from make_scenes import FAST

    def make(**changes) -> Request:
        values = {
            "protocol": "custom",
            "data": room,
            "output": tmp_path / "bench",
            "methods": ("splat",),
            "preset": "quick",
            "seeds": 2,
            "device": "cpu",
            "settings": FAST,
        }
        return Request(**{**values, **changes})

    return make
