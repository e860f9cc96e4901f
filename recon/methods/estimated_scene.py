"""Photos without cameras to a posed scene: estimate, verify, check by rendering, keep in the run folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from recon.datasets import (
    Distortion,
    Listing,
    PictureSize,
    open_photos,
    read_points,
    split_from_file,
    undistort,
    write_points,
)
from recon.errors import ReconError
from recon.files import read_json, write_json
from recon.methods.options import RunSettings
from recon.methods.pose_check import PICTURE_SIZE, check_poses
from recon.methods.progress import ShowStep, shown_steps
from recon.poses import EstimatedCamera, Lens, PoseEstimate, PoseSettings, estimate_poses
from recon.poses.holdout import LEAST_PHOTOS, RenderingCheck
from recon.poses.settings import Accept
from recon.run_folder import RunFolder
from recon.scene import Photo, PoseStatus, Scene, View

POSES_FILE, POINTS_FILE = "poses.json", "points.ply"
LENS_FIELDS = ("focal", "cx", "cy", "k1", "width", "height")

ESTIMATION_SHARE = 0.6
"""Share of the progress bar that estimating takes; the rest is the check by rendering."""


def estimated_scene(settings: RunSettings, run: RunFolder) -> Scene:
    """Return the scene of a folder of photos with estimated cameras.

    The estimate is kept in the run folder (poses.json, points.ply), so that resuming and evaluating use the same one.

    Raises:
        ReconError: when the photos cannot be read, or their poses cannot be certified.
    """
    stored = run.path / POSES_FILE
    if not stored.exists():
        _estimate(settings, run)
    photos = open_photos(settings.photos, PictureSize(max_size=settings.max_size))
    record = read_json(stored)
    try:
        cameras = {name: _camera(values) for name, values in record["cameras"].items()}
        views = _undistorted(photos, cameras)
        scene = Scene(
            name=photos.name,
            views=tuple(views.values()),
            train=tuple(views),
            poses=record["status"],
            points=read_points(run.path / POINTS_FILE) if record["points"] else None,
            warnings=(*photos.warnings, *record["warnings"]),
            notes=tuple(record["notes"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ReconError(
            f"{stored} is damaged or was written by another version ({error!r}); reconstruct anew with --overwrite"
        ) from error
    return _with_split(scene, settings)


@dataclass(frozen=True)
class Conclusion:
    """How far estimated poses are trusted after the check by rendering, and what to tell about it."""

    status: PoseStatus
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def conclude(status: PoseStatus, check: RenderingCheck | None, cameras: int) -> Conclusion:
    """Combine the verdict on the matches with the check by rendering.

    A picture that can be matched but is shifted takes the certificate away. A check that says nothing takes nothing
    away, because right cameras far apart cannot be checked so; a person is told.

    Args:
        status: the verdict on the matches.
        check: None when there were too few photos for it.
        cameras: how many photos have a camera.
    """
    if check is None:
        sentence = (
            f"The poses were not checked by rendering: that takes {LEAST_PHOTOS} photos with cameras, "
            f"here are {cameras}."
        )
        return Conclusion(status, notes=(sentence,))
    passed, undecided = check.sentences("passed"), check.sentences("undecided")
    if check.result == "failed":
        return Conclusion("uncertified", warnings=(*check.sentences("failed"), *undecided))
    if check.result == "undecided":
        return Conclusion(status, warnings=tuple(undecided))
    agreed = (
        f"Poses checked by rendering: of {len(check.photos)} photos left out in turn, {len(passed)} agree with the "
        "picture rendered from the others."
    )
    return Conclusion(status, notes=(agreed, *undecided))


def _estimate(settings: RunSettings, run: RunFolder) -> None:
    """Estimate and check the cameras and write them to the run folder, or refuse."""
    accept: Accept = "uncertified" if settings.poses == "uncertified" else "certified"
    pose_settings = PoseSettings(accept=accept, focal_mm=settings.focal_mm, seed=settings.seed)
    with shown_steps("camera poses") as show:
        # At full size (shrunk inside), so that poses do not depend on the preset.
        photos = open_photos(settings.photos)
        estimate = estimate_poses(photos, pose_settings, _part(show, 0.0, ESTIMATION_SHARE))
        if estimate.status == "refused":
            raise _refusal(estimate.diagnosis)
        small = open_photos(settings.photos, PictureSize(max_size=PICTURE_SIZE))
        check = check_poses(
            estimate.cameras,
            _undistorted(small, estimate.cameras),
            settings.seed,
            _part(show, ESTIMATION_SHARE, 1.0),
        )
    conclusion = conclude(estimate.status, check, len(estimate.cameras))
    if conclusion.status == "uncertified" and accept != "uncertified":
        raise _refusal(conclusion.warnings)
    if estimate.points is not None:
        write_points(run.path / POINTS_FILE, estimate.points)
    write_json(run.path / POSES_FILE, _plain(estimate, check, conclusion))


def _refusal(reasons: Sequence[str]) -> ReconError:
    listed = "\n  ".join(reasons)
    return ReconError(
        f"the cameras of these photos could not be verified, so nothing was reconstructed:\n  {listed}\n"
        "--poses uncertified goes on with the best guess and marks the result as such"
    )


def _plain(estimate: PoseEstimate, check: RenderingCheck | None, conclusion: Conclusion) -> dict[str, Any]:
    return {
        "status": conclusion.status,
        "cameras": {
            name: {
                "world_to_camera": camera.world_to_camera,
                "lens": {field: getattr(camera.lens, field) for field in LENS_FIELDS},
            }
            for name, camera in estimate.cameras.items()
        },
        "points": None if estimate.points is None else POINTS_FILE,
        "warnings": [*estimate.diagnosis, *conclusion.warnings],
        "notes": list(conclusion.notes),
        "record": estimate.record(),
        "check_by_rendering": None if check is None else check.record(),
    }


def _camera(values: dict[str, Any]) -> EstimatedCamera:
    return EstimatedCamera(np.asarray(values["world_to_camera"], dtype=np.float64), Lens(**values["lens"]))


def _undistorted(photos: Iterable[Photo], cameras: Mapping[str, EstimatedCamera]) -> dict[str, View]:
    """Return the photos that have a camera as pinhole views, by name."""
    return {
        photo.name: _undistorted_view(photo, cameras[photo.name]) for photo in photos if photo.name in cameras
    }


def _undistorted_view(photo: Photo, camera: EstimatedCamera) -> View:
    resized = replace(camera, lens=camera.lens.resized(photo.width, photo.height)).pinhole
    distortion = Distortion("perspective", (camera.lens.k1, 0.0, 0.0, 0.0))

    def load():
        pixels = photo.pixels
        image, valid = undistort(pixels.image, resized, distortion)
        mask = pixels.mask
        if mask is not None and valid is not None:
            mask = undistort(mask.astype("float32"), resized, distortion)[0] >= 0.5
        return replace(pixels, image=image, mask=mask, valid=valid)

    return View(photo.name, resized, load)


def _with_split(scene: Scene, settings: RunSettings) -> Scene:
    if settings.split is None:
        return scene
    split = split_from_file(settings.split)(Listing.counted([view.name for view in scene.views]))
    return scene.with_split(list(split.train), list(split.test)).with_warnings(
        "poses of held-out photos were estimated and checked together with those of the inputs; "
        "their pixels were used for nothing else"
    )


def _part(show: ShowStep, start: float, end: float) -> Callable[[str, float], None]:
    return lambda sentence, done: show(sentence, start + (end - start) * done)
