"""A tiny SpaRe folder, a valid submission to it, and what the tests need to break it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import pytest
from submission_cases import valid_submission, write_spare_folder

from recon.submission.spare import Asked, asked


@pytest.fixture(scope="session")
def spare_folder(tmp_path_factory) -> Path:
    """Two DTU scenes and one synthetic one in track 1, development; another DTU scene in test."""
    folder = tmp_path_factory.mktemp("spare")
    write_spare_folder(folder)
    return folder


@pytest.fixture(scope="session")
def development(spare_folder) -> Asked:
    return asked(spare_folder, 1, "development")


@pytest.fixture(scope="session")
def valid(development) -> dict[str, bytes]:
    """Contents of a submission without faults, by name inside the zip."""
    return valid_submission(development)
