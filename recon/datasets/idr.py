"""DTU scenes in IDR's layout: `image/` or `images/`, `mask/`, `cameras*.npz`.

Source: Yariv et al. 2020, Multiview Neural Surface Reconstruction, released data.
"""

import re
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from recon.datasets.arrays import read_npz
from recon.datasets.decode import read_header, shown
from recon.datasets.folder import describe_contents, last_number, picture_files
from recon.datasets.posed_view import posed_view
from recon.datasets.projection import camera_from_projection
from recon.datasets.resize import PictureSize
from recon.datasets.split import Listing, SplitRule, own_split
from recon.errors import ReconError
from recon.scene import Camera, Scene

CAMERA_FILES = ("cameras_sphere.npz", "cameras.npz", "cameras_large.npz", "cameras_linear_init.npz")
IMAGE_FOLDERS = ("image", "images", "rgb")


def read_idr(folder: Path, size: PictureSize | None = None, rule: SplitRule = own_split) -> Scene:
    """Read an IDR scene; a view's index is the i of its `world_mat_i`.

    World coordinates are those in which `scale_mat` puts the region of interest into the unit sphere; where views
    disagree about it or do not have it, the calibration's own.

    Raises:
        ReconError: when matrices are absent, malformed or singular, or do not fit the number of images.
    """
    cameras_file = find_cameras(folder)
    arrays = read_npz(cameras_file)
    world = _numbered(arrays, "world_mat", cameras_file)
    scale = _common_scale(_numbered(arrays, "scale_mat", cameras_file), world)
    images = next((folder / name for name in IMAGE_FOLDERS if (folder / name).is_dir()), None)
    if images is None:
        raise ReconError(
            f"{shown(folder)} has {cameras_file.name} but no image/ folder: it {describe_contents(folder)}"
        )
    files = picture_files(images)
    indices = _indices(files, world, cameras_file)
    masks = _masks(folder / "mask", files)
    views = tuple(
        posed_view(
            file.name,
            file,
            _camera(world[index] @ scale, file, index),
            size or PictureSize(),
            mask=masks.get(file),
        )
        for file, index in zip(files, indices, strict=True)
    )
    split = rule(Listing(tuple(view.name for view in views), tuple(indices)))
    return Scene(folder.resolve().name, views, split.train, split.test)


def find_cameras(folder: Path) -> Path:
    """Return the scene's archive of cameras.

    Raises:
        ReconError: when there is none.
    """
    for name in CAMERA_FILES:
        if (folder / name).is_file():
            return folder / name
    others = sorted(folder.glob("cameras*.npz"))
    if not others:
        raise ReconError(f"{shown(folder)} has no cameras*.npz: it {describe_contents(folder)}")
    return others[0]


def _numbered(arrays: dict[str, ndarray], prefix: str, file: Path) -> dict[int, Float[ndarray, "4 4"]]:
    matrices = {}
    for name, matrix in arrays.items():
        match = re.fullmatch(rf"{prefix}_(\d+)", name)
        if match:
            if matrix.shape == (3, 4):
                matrix = np.vstack([matrix, [0, 0, 0, 1]])
            if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
                raise ReconError(
                    f"{shown(file)}: {name} must be a finite 4x4 matrix, got shape {matrix.shape}"
                )
            matrices[int(match[1])] = matrix
    return matrices


def _common_scale(scales: dict[int, ndarray], world: dict[int, ndarray]) -> Float[ndarray, "4 4"]:
    matrices = [scales.get(index) for index in world]
    first = matrices[0] if matrices else None
    if first is None or any(matrix is None or not np.allclose(matrix, first) for matrix in matrices):
        return np.eye(4)
    return first


def _indices(files: list[Path], world: dict[int, ndarray], cameras_file: Path) -> list[int]:
    if not world:
        raise ReconError(f"{shown(cameras_file)} holds no world_mat_0, world_mat_1, …")
    if not files:
        raise ReconError(f"{shown(cameras_file)} has {len(world)} cameras, but there are no images")
    if len(files) == len(world):
        return sorted(world)
    numbers = [last_number(file.name) for file in files]
    if len(set(numbers)) == len(files) and all(number in world for number in numbers):
        return [number for number in numbers if number is not None]
    raise ReconError(
        f"{shown(cameras_file)} has {len(world)} cameras (world_mat_i), but there are {len(files)} images "
        "whose numbers do not say which is which"
    )


def _camera(matrix: Float[ndarray, "4 4"], file: Path, index: int) -> Camera:
    header = read_header(file)
    try:
        return camera_from_projection(matrix[:3], header.width, header.height)
    except ReconError as error:
        raise ReconError(f"camera {index} ({file.name}): {error}") from error


def _masks(folder: Path, files: list[Path]) -> dict[Path, Path]:
    """Pair images with masks: by equal names, else by equal numbers (000025.png and 025.png)."""
    if not folder.is_dir():
        return {}
    masks = picture_files(folder)
    by_stem = {mask.stem: mask for mask in masks}
    by_number = {last_number(mask.name): mask for mask in masks}
    found = {file: by_stem.get(file.stem) or by_number.get(last_number(file.name)) for file in files}
    return {file: mask for file, mask in found.items() if mask is not None}
