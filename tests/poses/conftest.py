"""A rendered room with exact cameras, as unposed photos, and what pose estimation makes of it."""

from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from recon.poses import PoseSettings
from recon.poses.features import FeatureSet, find_features
from recon.poses.mapping import INCREMENTAL, Model, run_mapper
from recon.scene import Camera
from recon.scene.photo import Photo
from recon.scene.rigid import invert_rigid, rotation_angle
from recon.scene.view import Pixels
from recon.synth.raycast import raycast_scene

SETTINGS = PoseSettings(max_features=1000, threads=2)


@pytest.fixture(scope="session")
def settings() -> PoseSettings:
    """Settings that make an estimation of five small photos take about a second."""
    return SETTINGS


@pytest.fixture(scope="session")
def photo() -> Callable[..., Photo]:
    """Make a photo from a picture."""
    return _photo


@pytest.fixture(scope="session")
def pose_errors() -> Callable[..., tuple[float, float]]:
    """Compare estimated with true poses: the largest errors over all pairs, in degrees."""
    return _pose_errors


def _photo(name: str, image: np.ndarray, focal: float | None = None) -> Photo:
    return Photo(name, image.shape[1], image.shape[0], focal, lambda: Pixels(image))


def _pose_errors(found: dict[str, np.ndarray], truth: dict[str, np.ndarray]) -> tuple[float, float]:
    """Return the largest errors of relative rotations and of relative translation directions, degrees."""
    rotations, directions = [], []
    for a, b in combinations(found, 2):
        relative = found[b] @ invert_rigid(found[a])
        expected = truth[b] @ invert_rigid(truth[a])
        rotations.append(rotation_angle(relative[:3, :3] @ expected[:3, :3].T))
        t, u = relative[:3, 3], expected[:3, 3]
        directions.append(np.arctan2(np.linalg.norm(np.cross(t, u)), t @ u))
    return float(np.degrees(max(rotations))), float(np.degrees(max(directions)))


@pytest.fixture(scope="session")
def room() -> tuple[list[Photo], dict[str, Camera]]:
    """Five photos of a room corner without poses, 240x180, and their true cameras by name."""
    scene = raycast_scene("box_room", views=5, size=(240, 180), supersampling=1).scene
    photos = [_photo(view.name, view.image) for view in scene.views]
    return photos, {view.name: view.camera for view in scene.views}


@pytest.fixture(scope="session")
def room_features(room, tmp_path_factory) -> Iterator[FeatureSet]:
    folder: Path = tmp_path_factory.mktemp("poses")
    yield find_features(room[0], SETTINGS, folder)


@pytest.fixture(scope="session")
def room_model(room_features) -> Model:
    model = run_mapper(room_features, INCREMENTAL, range(room_features.count))
    assert model is not None and len(model.photos) == 5
    return model
