"""Matches → a model (poses, lenses, tracks), by one of several mapping strategies."""

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float, UInt8
from numpy import ndarray

from recon.poses.colmap import load_pycolmap
from recon.poses.features import FeatureSet
from recon.poses.lens import Lens


@dataclass(frozen=True)
class Strategy:
    """One way to run a mapper.

    Attributes:
        name: how the attempt is called in records.
        mapper: "incremental" with COLMAP's defaults, "loose" with thresholds for few and weak matches, or "global".
        fixed_focal: keep the stated focal length instead of refining it.
        distortion: estimate radial distortion; without, it stays zero.
    """

    name: str
    mapper: Literal["incremental", "loose", "global"]
    fixed_focal: bool = False
    distortion: bool = True


INCREMENTAL = Strategy("incremental", "incremental")
LOOSE = Strategy("loose, no distortion", "loose", distortion=False)
GLOBAL = Strategy("global", "global")
INCREMENTAL_FIXED = Strategy(
    "incremental, stated focal length", "incremental", fixed_focal=True, distortion=False
)
LOOSE_FIXED = Strategy("loose, stated focal length", "loose", fixed_focal=True, distortion=False)

MIN_POINTS = 8
"""A model with fewer points says nothing about its poses (five points fix two cameras; 8 leave a little to check)."""


@dataclass(frozen=True, eq=False)
class Model:
    """What a mapper found, in its own gauge and scale.

    Attributes:
        photos: numbers of the registered photos, ascending.
        world_to_camera: [4, 4] for each registered photo.
        lenses: lens of each registered photo, working pixels.
        points, colors: triangulated points, sRGB bytes.
        visible: which registered photo (column, in the order of `photos`) sees which point.
        observations: for each registered photo the (point, feature) numbers it sees, two columns.
        reconstruction: COLMAP's own object, for re-running bundle adjustment.
    """

    photos: tuple[int, ...]
    world_to_camera: dict[int, Float[ndarray, "4 4"]]
    lenses: dict[int, Lens]
    points: Float[ndarray, "P 3"]
    colors: UInt8[ndarray, "P 3"]
    visible: Bool[ndarray, "P C"]
    observations: dict[int, ndarray] = field(repr=False)
    reconstruction: Any = field(repr=False, default=None)

    def relative_pose(self, i: int, j: int) -> tuple[Float[ndarray, "3 3"], Float[ndarray, " 3"]]:
        """Return R, t with x_j = R x_i + t."""
        a, b = self.world_to_camera[i], self.world_to_camera[j]
        rotation = b[:3, :3] @ a[:3, :3].T
        return rotation, b[:3, 3] - rotation @ a[:3, 3]

    @property
    def pairs(self) -> list[tuple[int, int]]:
        return list(combinations(self.photos, 2))


def run_mapper(
    features: FeatureSet, strategy: Strategy, photos: Sequence[int], seed: int = 0
) -> Model | None:
    """Run one strategy on some of the photos and return the model with most photos, or None."""
    pycolmap = load_pycolmap()
    output = tempfile.mkdtemp(dir=features.database.parent)
    names = [features.file_name(photo) for photo in photos]
    try:
        if strategy.mapper == "global":
            options = _global_options(pycolmap, features, strategy, names, seed)
            models = pycolmap.global_mapping(features.database, features.pictures, output, options)
        else:
            options = _incremental_options(pycolmap, strategy, names, seed)
            models = pycolmap.incremental_mapping(features.database, features.pictures, output, options)
    except (RuntimeError, ValueError):  # COLMAP throws when a set is beyond it, e.g. no pair at all
        return None
    finally:
        shutil.rmtree(output, ignore_errors=True)
    readable = [model for r in models.values() if (model := read_model(features, r)) is not None]
    return max(readable, key=lambda model: (len(model.photos), len(model.points)), default=None)


def read_model(features: FeatureSet, reconstruction: Any) -> Model | None:
    """Convert a COLMAP reconstruction; None when it is empty or not finite."""
    numbers = {features.file_name(photo): photo for photo in range(features.count)}
    images = {
        numbers[reconstruction.image(image_id).name]: reconstruction.image(image_id)
        for image_id in reconstruction.reg_image_ids()
    }
    photos = tuple(sorted(images))
    column_of = {images[photo].image_id: column for column, photo in enumerate(photos)}
    world_to_camera = {photo: _pose(images[photo]) for photo in photos}
    lenses = {photo: _lens(images[photo].camera) for photo in photos}
    points = list(reconstruction.points3D.values())
    visible = np.zeros((len(points), len(photos)), dtype=bool)
    observations: dict[int, list[tuple[int, int]]] = {photo: [] for photo in photos}
    for row, point in enumerate(points):
        for element in point.track.elements:
            column = column_of[element.image_id]
            visible[row, column] = True
            observations[photos[column]].append((row, element.point2D_idx))
    positions = np.array([point.xyz for point in points]).reshape(-1, 3)
    finite = np.isfinite(positions).all() and all(
        np.isfinite(pose).all() for pose in world_to_camera.values()
    )
    if len(photos) < 2 or len(points) < MIN_POINTS or not finite:
        return None
    return Model(
        photos=photos,
        world_to_camera=world_to_camera,
        lenses=lenses,
        points=positions,
        colors=np.array([point.color for point in points], dtype=np.uint8).reshape(-1, 3),
        visible=visible,
        observations={p: np.array(seen, dtype=np.int64).reshape(-1, 2) for p, seen in observations.items()},
        reconstruction=reconstruction,
    )


def _pose(image: Any) -> Float[ndarray, "4 4"]:
    pose = np.eye(4)
    pose[:3] = image.cam_from_world().matrix()
    return pose


def _lens(camera: Any) -> Lens:
    focal, cx, cy, k1 = camera.params
    return Lens(float(focal), float(cx), float(cy), float(k1), camera.width, camera.height)


def _incremental_options(pycolmap: Any, strategy: Strategy, names: list[str], seed: int) -> Any:
    options = pycolmap.IncrementalPipelineOptions()
    options.image_names = names
    options.min_model_size = 2
    options.num_threads = 1
    options.random_seed = seed
    options.mapper.random_seed = seed
    options.triangulation.random_seed = seed
    options.ba_refine_focal_length = not strategy.fixed_focal
    options.mapper.abs_pose_refine_focal_length = not strategy.fixed_focal
    options.ba_refine_extra_params = strategy.distortion
    options.mapper.abs_pose_refine_extra_params = strategy.distortion
    options.triangulation.ignore_two_view_tracks = len(names) > 2  # two photos have no other tracks
    if strategy.mapper == "loose":
        options.min_num_matches = 8
        options.mapper.init_min_num_inliers = 30
        options.mapper.init_min_tri_angle = 4.0
        options.mapper.abs_pose_min_num_inliers = 12
        options.mapper.abs_pose_min_inlier_ratio = 0.1
        options.mapper.filter_max_reproj_error = 6.0
    return options


def _global_options(
    pycolmap: Any, features: FeatureSet, strategy: Strategy, names: list[str], seed: int
) -> Any:
    options = pycolmap.GlobalPipelineOptions()
    options.image_names = names
    options.image_path = features.pictures
    options.num_threads = 1
    options.random_seed = seed
    mapper = options.mapper
    mapper.num_threads = 1
    mapper.random_seed = mapper.rotation_averaging.random_seed = mapper.global_positioning.random_seed = seed
    mapper.retriangulation.random_seed = seed
    mapper.image_path = features.pictures
    mapper.global_positioning.use_gpu = False
    mapper.bundle_adjustment.ceres.use_gpu = False
    mapper.bundle_adjustment.refine_focal_length = not strategy.fixed_focal
    mapper.bundle_adjustment.refine_extra_params = strategy.distortion
    return options
