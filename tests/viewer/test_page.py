"""The viewer's own tests: TypeScript, the committed page, and the page in headless Chromium."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import recon


def npm(viewer: Path, *arguments: str) -> None:
    tested = str(Path(recon.__file__).parents[1])  # not the sources beside it, which may have no kernels
    environment = {**os.environ, "RECON_PYTHON": sys.executable, "PYTHONPATH": tested, "CI": "1"}
    command = ["npm", "run", "--silent", *arguments]
    done = subprocess.run(command, cwd=viewer, capture_output=True, text=True, env=environment, timeout=1500)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-6000:]


def test_the_sources_are_typed_and_formatted(viewer: Path) -> None:
    npm(viewer, "lint")


def test_the_committed_page_is_what_the_sources_give(viewer: Path) -> None:
    npm(viewer, "check-build")


def test_units(viewer: Path) -> None:
    npm(viewer, "test")


@pytest.mark.slow
@pytest.mark.timeout(1600)
def test_the_page_draws_what_the_rasterizer_draws(viewer: Path) -> None:
    needs_chromium()
    npm(viewer, "test:equality")


@pytest.mark.slow
@pytest.mark.timeout(1600)
def test_the_page_as_a_person_uses_it(viewer: Path) -> None:
    """About a minute and a half without a GPU; screenshots are left in viewer/tests/artefacts."""
    needs_chromium()
    npm(viewer, "test:page")


@pytest.mark.slow
@pytest.mark.timeout(1600)
def test_a_stream_plays_in_the_page(viewer: Path) -> None:
    """Frames have the numbers that Python made; slow and broken connections, a live socket."""
    needs_chromium()
    npm(viewer, "test:stream")


def needs_chromium() -> None:
    if "CHROMIUM" not in os.environ and shutil.which("chromium") is None:
        pytest.skip("needs Chromium")
