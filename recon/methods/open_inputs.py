"""Photos or a data set to a posed scene: read given cameras, or estimate and verify them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from recon.errors import ReconError
from recon.files import read_json, write_json
from recon.methods.options import RunSettings
from recon.run_folder import RunFolder
from recon.scene import Photo, PhotoSet, Scene, View

if TYPE_CHECKING:
    from recon.poses import EstimatedCamera, PoseEstimate


def open_inputs(settings: RunSettings, run: RunFolder) -> Scene:
    """Return the posed scene of a run.

    Estimated cameras are kept in the run folder (poses.json), so that resuming and evaluating use the same ones.

    Raises:
        ReconError: when the photos cannot be read, or their poses can neither be read nor certified.
    """
    from recon.datasets import open_scene, recognise

    layout = recognise(settings.photos)
    if layout.name != "photos":
        if settings.poses in ("estimate", "uncertified"):
            raise ReconError(
                f"{settings.photos} comes with cameras ({layout.name}); give the folder that holds only its photos "
                "to have poses estimated"
            )
        return open_scene(
            settings.photos,
            protocol=settings.protocol,
            split=settings.split,
            views=settings.views,
            max_size=settings.max_size,
        )
    if settings.poses == "given":
        raise ReconError(
            f"{settings.photos} holds photos without cameras; use --poses auto to have them estimated"
        )
    if settings.protocol or settings.views:
        raise ReconError(
            "--protocol and --views choose among posed views; for photos without cameras give --split"
        )
    return _estimated_scene(settings, run)


def _estimated_scene(settings: RunSettings, run: RunFolder) -> Scene:
    from recon.datasets import PictureSize, open_photos

    # Poses are estimated on the photos at full size (shrunk inside), so that they do not depend on the preset.
    photos = open_photos(settings.photos)
    shown = open_photos(settings.photos, PictureSize(max_size=settings.max_size))
    stored = run.path / "poses.json"
    if not stored.exists():
        estimate = _estimate(photos, settings)
        write_json(stored, _plain(estimate))
    record = read_json(stored)
    cameras = {name: _camera(values) for name, values in record["cameras"].items()}
    views = tuple(_undistorted_view(photo, cameras[photo.name]) for photo in shown if photo.name in cameras)
    scene = Scene(
        name=photos.name,
        views=views,
        train=tuple(view.name for view in views),
        poses=record["status"],
        warnings=(*photos.warnings, *record["warnings"]),
    )
    return _with_split(scene, settings)


def _estimate(photos: PhotoSet, settings: RunSettings) -> PoseEstimate:
    from recon.poses import PoseSettings, estimate_poses
    from recon.poses.settings import Accept

    accept: Accept = "uncertified" if settings.poses == "uncertified" else "certified"
    estimate = estimate_poses(
        photos, PoseSettings(accept=accept, focal_mm=settings.focal_mm, seed=settings.seed)
    )
    if estimate.status == "refused":
        reasons = "\n  ".join(estimate.diagnosis)
        raise ReconError(
            f"the cameras of these photos could not be verified, so nothing was reconstructed:\n  {reasons}\n"
            "--poses uncertified goes on with the best guess and marks the result as such"
        )
    return estimate


def _plain(estimate: PoseEstimate) -> dict:
    return {
        "status": estimate.status,
        "cameras": {
            name: {
                "world_to_camera": camera.world_to_camera,
                "lens": {
                    key: getattr(camera.lens, key) for key in ("focal", "cx", "cy", "k1", "width", "height")
                },
            }
            for name, camera in estimate.cameras.items()
        },
        "warnings": list(estimate.diagnosis),
        "record": estimate.record(),
    }


def _camera(values: dict) -> EstimatedCamera:
    import numpy as np

    from recon.poses import EstimatedCamera, Lens

    return EstimatedCamera(np.asarray(values["world_to_camera"], dtype=np.float64), Lens(**values["lens"]))


def _undistorted_view(photo: Photo, camera: EstimatedCamera) -> View:
    from recon.datasets import Distortion, undistort

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
    from recon.datasets import Listing, split_from_file

    split = split_from_file(settings.split)(Listing.counted([view.name for view in scene.views]))
    return scene.with_split(list(split.train), list(split.test)).with_warnings(
        "poses of held-out photos were estimated together with those of the inputs; "
        "their pixels were used for nothing else"
    )
