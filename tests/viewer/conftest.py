"""What the viewer's tests need that not every machine has: Node and the packages of viewer/."""

import shutil
from pathlib import Path

import pytest

VIEWER = Path(__file__).resolve().parents[2] / "viewer"


@pytest.fixture(scope="session")
def viewer() -> Path:
    """The folder of the viewer's sources; the test is skipped where they cannot run."""
    if shutil.which("node") is None:
        pytest.skip("needs Node 20 or later")
    if not (VIEWER / "node_modules" / "vite").is_dir():
        pytest.skip("needs `npm ci` in viewer/")
    return VIEWER
