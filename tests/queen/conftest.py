"""Makes moving_scene.py importable, and its scene a fixture."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from moving_scene import Moving, moving_scene


@pytest.fixture
def moving() -> Moving:
    return moving_scene()
