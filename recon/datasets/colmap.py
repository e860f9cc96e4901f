"""Scenes posed by COLMAP: a sparse model and the folder of its images."""

import re
from pathlib import Path

import numpy as np

from recon.datasets.colmap_model import ColmapCamera, ColmapImage, ColmapModel, read_model
from recon.datasets.decode import shown
from recon.datasets.folder import describe_contents
from recon.datasets.posed_view import posed_view
from recon.datasets.resize import PictureSize
from recon.datasets.split import Listing, Split, SplitRule, own_split
from recon.datasets.undistort import Distortion
from recon.errors import ReconError
from recon.scene import Camera, Scene, SparsePoints, quaternion_to_rotation

MODEL_FOLDERS = ("sparse/0", "sparse", "colmap/sparse/0", "colmap/sparse", ".")
"""Where models are looked for, in this order."""


def read_colmap(folder: Path, size: PictureSize | None = None, rule: SplitRule = own_split) -> Scene:
    """Read a COLMAP scene from its folder (with `sparse/0` and `images`) or from the model folder itself.

    Lens distortion is removed when pictures load. Where views are held out, only points whose whole track lies in
    input views are kept: a point that a held-out photo helped to place would leak it.

    Args:
        size: `downscale` takes `images_N` where that folder exists, as its convention has it, and shrinks otherwise.

    Raises:
        ReconError: when the model is damaged or incomplete, a camera is unusable, or no picture exists.
    """
    model_folder = find_model(folder)
    if model_folder is None:
        raise ReconError(
            f"{shown(folder)} has no COLMAP model in {', '.join(MODEL_FOLDERS)}: it {describe_contents(folder)}"
        )
    model = read_model(model_folder)
    images, size = _image_folder(folder, model_folder, model, size or PictureSize())
    warnings = _other_models(model_folder)
    views, numbers, missing = [], {}, []
    for number, image in sorted(model.images.items(), key=lambda item: item[1].name):
        picture = images / image.name
        if not picture.is_file():
            missing.append(image.name)
            continue
        try:
            camera, distortion = camera_of(model.cameras[image.camera_id], image)
        except ReconError as error:
            raise ReconError(f"{shown(model_folder)}, image {image.name}: {error}") from error
        mask = next((file for file in _mask_candidates(images, image.name) if file.is_file()), None)
        views.append(posed_view(image.name, picture, camera, size, distortion=distortion, mask=mask))
        numbers[image.name] = number
    if not views:
        raise ReconError(
            f"{shown(model_folder)} lists {len(model.images)} images, but none exists in {shown(images)}"
        )
    if missing:
        some = ", ".join(missing[:5]) + (", …" if len(missing) > 5 else "")
        warnings += (f"the model lists {len(missing)} images that do not exist; they are left out: {some}",)
    split = rule(Listing.counted([view.name for view in views]))
    points, said = _points(model, numbers, split)
    return Scene(
        folder.resolve().name, tuple(views), split.train, split.test, points=points, warnings=warnings + said
    )


def find_model(folder: Path) -> Path | None:
    """Return the folder of the COLMAP model that belongs to a data set's folder."""
    for place in MODEL_FOLDERS:
        for ending in (".bin", ".txt"):
            files = [(folder / place / f"{stem}{ending}").is_file() for stem in ("cameras", "images")]
            if all(files) or (
                files[0] and place != "."
            ):  # a lone cameras.txt among photos is somebody's notes
                return folder / place
    return None


def camera_of(camera: ColmapCamera, image: ColmapImage) -> tuple[Camera, Distortion]:
    """Return the pinhole camera and the distortion of a COLMAP image.

    Raises:
        ReconError: when the camera model is not supported, or the pose or intrinsics are not usable.
    """
    p = camera.parameters
    if camera.model in ("PINHOLE", "OPENCV", "OPENCV_FISHEYE", "FULL_OPENCV"):
        fx, fy, cx, cy, *rest = p
    else:
        fx, cx, cy, *rest = p
        fy = fx
    if camera.model in ("SIMPLE_PINHOLE", "PINHOLE"):
        distortion = Distortion("perspective", (0.0, 0.0, 0.0, 0.0))
    elif camera.model in ("SIMPLE_RADIAL", "RADIAL"):
        distortion = Distortion("perspective", (rest[0], rest[1] if len(rest) > 1 else 0.0, 0.0, 0.0))
    elif camera.model in ("OPENCV", "FULL_OPENCV"):
        distortion = Distortion("perspective", tuple(rest))
    elif camera.model in ("OPENCV_FISHEYE", "SIMPLE_RADIAL_FISHEYE", "RADIAL_FISHEYE"):
        distortion = Distortion("fisheye", (*rest, 0.0, 0.0, 0.0)[:4])
    else:
        raise ReconError(
            f"camera model {camera.model} is not supported: undistort the pictures first with "
            "`colmap image_undistorter`"
        )
    pose = np.eye(4)
    pose[:3, :3] = quaternion_to_rotation(np.array(image.quaternion))
    pose[:3, 3] = image.translation
    return Camera(pose, fx, fy, cx, cy, camera.width, camera.height), distortion


def _image_folder(
    folder: Path, model_folder: Path, model: ColmapModel, size: PictureSize
) -> tuple[Path, PictureSize]:
    """Find the images: images_N for downscale N, else images/, else beside the model."""
    roots = [folder, *(parent for parent in list(model_folder.resolve().parents)[:3])]
    for root in dict.fromkeys(roots):
        factor = size.downscale
        if factor and factor == int(factor) and (root / f"images_{int(factor)}").is_dir():
            return root / f"images_{int(factor)}", PictureSize(None, size.max_size)
        for name in ("images", "image", "input", "rgb"):
            if (root / name).is_dir():
                return root / name, size
    some = next(iter(model.images.values()), None)
    if some is not None and (folder / some.name).is_file():
        return folder, size
    raise ReconError(
        f"{shown(folder)} has a COLMAP model but no images/ folder: it {describe_contents(folder)}"
    )


def _mask_candidates(images: Path, name: str) -> list[Path]:
    """COLMAP's masks are called like the image with .png appended; others replace its ending."""
    masks = images.parent / "masks"
    return [masks / f"{name}.png", (masks / name).with_suffix(".png")]


def _other_models(model_folder: Path) -> tuple[str, ...]:
    """Say when COLMAP left several models: only the first is read."""
    if not re.fullmatch(r"\d+", model_folder.name):
        return ()
    others = [
        path.name for path in sorted(model_folder.parent.iterdir()) if path != model_folder and path.is_dir()
    ]
    if not others:
        return ()
    return (f"COLMAP left several models; {model_folder.name} is read and {', '.join(others)} ignored",)


def _points(
    model: ColmapModel, numbers: dict[str, int], split: Split
) -> tuple[SparsePoints | None, tuple[str, ...]]:
    """Keep the points that the input views alone placed."""
    points = model.points
    count = len(points.positions)
    if count == 0:
        return None, ()
    finite = np.isfinite(points.positions).all(axis=1)
    keep = finite
    if split.test or len(split.train) < len(model.images):
        inputs = np.array([numbers[name] for name in split.train])
        foreign = np.concatenate([[0], np.cumsum(~np.isin(points.track_images, inputs))])
        alone = foreign[points.track_starts[1:]] == foreign[points.track_starts[:-1]]
        keep = finite & alone & (np.diff(points.track_starts) > 0)
    said: tuple[str, ...] = ()
    if keep.sum() < count:
        said = (f"kept {keep.sum()} of the model's {count} points: those that input views alone placed",)
    if not keep.any():
        return None, said
    return SparsePoints(points.positions[keep], points.colors[keep]), said
