"""LLFF scenes: `poses_bounds.npy` beside `images/` or `images_N/`.

Source: Mildenhall et al. 2019, Local Light Field Fusion; the file layout of its released data.
"""

import re
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from recon.datasets.arrays import read_npy
from recon.datasets.decode import read_header, shown
from recon.datasets.folder import describe_contents, picture_files
from recon.datasets.posed_view import posed_view
from recon.datasets.resize import PictureSize
from recon.datasets.split import Listing, SplitRule, own_split
from recon.errors import ReconError
from recon.scene import Camera, Scene, invert_rigid


def read_llff(folder: Path, size: PictureSize | None = None, rule: SplitRule = own_split) -> Scene:
    """Read an LLFF scene; row i of `poses_bounds.npy` belongs to the i-th image in name order.

    Args:
        size: `downscale` counts from the size that `poses_bounds.npy` states: 8 takes `images_8` where it exists and
            shrinks the finest smaller factor's images otherwise. None takes the finest images present.

    Raises:
        ReconError: when the file has another shape, or its rows and the images differ in number.
    """
    size = size or PictureSize()
    table = read_rows(folder / "poses_bounds.npy")
    images = _image_folder(folder, size.downscale)
    files = picture_files(images)
    if len(files) != len(table):
        raise ReconError(
            f"{shown(folder / 'poses_bounds.npy')} has {len(table)} poses, but {shown(images)} has "
            f"{len(files)} images: each row must belong to one image, in name order"
        )
    cameras = [row_camera(row, file.name) for row, file in zip(table, files, strict=True)]
    remaining = _remaining_size(files[0], cameras[0], size)
    views = tuple(
        posed_view(file.name, file, camera, remaining) for file, camera in zip(files, cameras, strict=True)
    )
    split = rule(Listing.counted([view.name for view in views]))
    inputs = [view.name in split.train for view in views]
    return Scene(
        folder.resolve().name, views, split.train, split.test, bounds=shared_bounds(table[inputs, 15:17])
    )


def read_rows(file: Path) -> Float[ndarray, "N 17"]:
    """Read the rows of a `poses_bounds.npy`: a 3x5 matrix, near and far.

    Raises:
        ReconError: when the file is unreadable or has another shape.
    """
    table = read_npy(file)
    if table.ndim != 2 or table.shape[1] != 17 or len(table) == 0:
        raise ReconError(f"{shown(file)} must hold one row of 17 numbers per image, got shape {table.shape}")
    return table


def row_camera(row: Float[ndarray, " 17"], name: str) -> Camera:
    """Return the camera of one row; `name` is what an error calls it.

    Raises:
        ReconError: when the numbers make no camera.
    """
    matrix = row[:15].reshape(3, 5)
    height, width, focal = matrix[:, 4]
    if not np.isfinite(row[:15]).all() or min(height, width, focal) <= 0:
        raise ReconError(f"poses_bounds.npy: the camera of {name} has NaN, infinite or non-positive numbers")
    camera_to_world = np.eye(4)  # the columns point down, right and backwards
    camera_to_world[:3, :4] = np.stack([matrix[:, 1], matrix[:, 0], -matrix[:, 2], matrix[:, 3]], axis=1)
    try:
        return Camera(
            invert_rigid(camera_to_world), focal, focal, width / 2, height / 2, round(width), round(height)
        )
    except ReconError as error:
        raise ReconError(f"poses_bounds.npy, image {name}: {error}") from error


def shared_bounds(ranges: Float[ndarray, "N 2"]) -> tuple[float, float] | None:
    """Return near and far over the input views only: other rows tell what held-out photos see."""
    near, far = ranges[:, 0].min(initial=np.inf), ranges[:, 1].max(initial=-np.inf)
    return (float(near), float(far)) if np.isfinite([near, far]).all() and 0 < near < far else None


def _image_folder(folder: Path, downscale: float | None) -> Path:
    """Choose the coarsest folder that is still fine enough, or the finest there is."""
    factors = {}
    for entry in folder.iterdir():
        match = re.fullmatch(r"images(?:_(\d+))?", entry.name)
        if match and entry.is_dir():
            factors[int(match[1] or 1)] = entry
    if not factors:
        raise ReconError(
            f"{shown(folder)} has poses_bounds.npy but no images/ or images_N/: it {describe_contents(folder)}"
        )
    enough = [factor for factor in factors if factor <= (downscale or 1)]
    return factors[max(enough) if enough else min(factors)]


def _remaining_size(file: Path, camera: Camera, size: PictureSize) -> PictureSize:
    """Return how much the chosen folder's images are still to shrink."""
    if size.downscale is None:
        return size
    already = camera.width / read_header(file).width
    remaining = size.downscale / already
    return PictureSize(remaining if remaining > 1.01 else None, size.max_size)  # images_8 may be rounded up
