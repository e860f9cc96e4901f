"""Could the focal length as well be another? With few photos and short baselines nothing in the photos may tell."""

import copy
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy import ndarray

from recon.poses.colmap import load_pycolmap
from recon.poses.mapping import Model
from recon.scene.rigid import rotation_angle

FOCAL_CHANGE = 0.85
"""The focal length is multiplied and divided by this."""


@dataclass(frozen=True)
class FocalTest:
    """What happens when bundle adjustment is run again with another focal length, distortion held.

    Attributes:
        ambiguity: A = degrees / sqrt(max(residual_ratio^2 - 1, 0.001)). Large when the poses change a lot and the
            residuals hardly: then the photos do not say which focal length is right.
        residual_ratio: the smaller of the new root mean square reprojection errors over the original one. Below 1 the
            photos prefer another focal length.
        degrees: the larger mean change of relative rotations.
    """

    ambiguity: float
    residual_ratio: float
    degrees: float


def run_focal_test(model: Model) -> FocalTest:
    """Change the focal length of all lenses together, and of each alone where there are several; return the worst."""
    cameras = sorted({image.camera_id for image in _images(model.reconstruction)})
    choices = [cameras] if len(cameras) == 1 else [cameras, *([camera] for camera in cameras)]
    return max((_test(model, choice) for choice in choices), key=lambda test: test.ambiguity)


def _test(model: Model, cameras: list[int]) -> FocalTest:
    original = reprojection_rms(model.reconstruction)
    before = _rotations(model.reconstruction)
    residuals, changes = [], []
    for factor in (FOCAL_CHANGE, 1.0 / FOCAL_CHANGE):
        changed = copy.deepcopy(model.reconstruction)
        for camera_id in cameras:
            camera = changed.camera(camera_id)
            camera.focal_length = camera.focal_length * factor
        _adjust_poses_and_points(changed)
        residuals.append(reprojection_rms(changed))
        changes.append(_mean_relative_change(before, _rotations(changed)))
    ratio = min(residuals) / max(original, 1e-9)
    degrees = float(max(changes))
    return FocalTest(degrees / float(np.sqrt(max(ratio**2 - 1.0, 0.001))), float(ratio), degrees)


def reprojection_rms(reconstruction: Any) -> float:
    """Return the root mean square reprojection error of all observations in pixels."""
    squares = []
    for image in _images(reconstruction):
        features = [p for p in image.points2D if p.has_point3D()]
        if not features:
            continue
        world = np.array([reconstruction.point3D(p.point3D_id).xyz for p in features])
        pose = image.cam_from_world().matrix()
        local = world @ pose[:, :3].T + pose[:, 3]
        found = np.array([p.xy for p in features])
        squares.append(((_project(image.camera, local) - found) ** 2).sum(axis=1))
    return float(np.sqrt(np.concatenate(squares).mean())) if squares else 0.0


def _project(camera: Any, local: ndarray) -> ndarray:
    focal, cx, cy, k1 = camera.params
    depth = np.where(np.abs(local[:, 2:]) > 1e-12, local[:, 2:], 1e-12)
    plane = local[:, :2] / depth
    return plane * (1.0 + k1 * (plane**2).sum(axis=1, keepdims=True)) * focal + [cx, cy]


def _adjust_poses_and_points(reconstruction: Any) -> None:
    """Run bundle adjustment with every lens held (through the adjuster: pycolmap's one-call form turns its log on)."""
    pycolmap = load_pycolmap()
    options = pycolmap.BundleAdjustmentOptions()
    options.refine_focal_length = False
    options.refine_extra_params = False
    options.print_summary = False
    options.ceres.solver_options.num_threads = 1
    config = pycolmap.BundleAdjustmentConfig()
    for image in _images(reconstruction):
        config.add_image(image.image_id)
    config.fix_gauge(pycolmap.BundleAdjustmentGauge.TWO_CAMS_FROM_WORLD)
    pycolmap.create_default_bundle_adjuster(options, config, reconstruction).solve()


def _images(reconstruction: Any) -> list[Any]:
    return [reconstruction.image(image_id) for image_id in sorted(reconstruction.reg_image_ids())]


def _rotations(reconstruction: Any) -> list[ndarray]:
    return [np.array(image.cam_from_world().matrix())[:, :3] for image in _images(reconstruction)]


def _mean_relative_change(before: list[ndarray], after: list[ndarray]) -> float:
    """Return the mean change of relative rotations over all pairs, in degrees."""
    angles = [
        rotation_angle((before[j] @ before[i].T) @ (after[j] @ after[i].T).T)
        for i, j in combinations(range(len(before)), 2)
    ]
    return float(np.degrees(np.mean(angles)))
