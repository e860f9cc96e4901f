"""Surface where stereo found none: planes go on, and what stands within an outline is solid."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from recon.scene import View
from recon.stereo.contradiction import testimony
from recon.stereo.depth_map import DepthMap
from recon.stereo.planes import TOLERANCE, Plane, find_planes
from recon.stereo.points import PointCloud
from recon.stereo.propagation import nearest_along_paths
from recon.stereo.working_view import matchable

DEPTH_RANGE = 0.5, 4.0
"""A continued plane ends at these multiples of the nearest and the farthest depth that stereo knows."""
OUTER_PERCENTILE = 1.0
"""Of the depths, which are then left aside as outliers."""
SMOOTHING = 5
"""Cells over whose median a depth within an outline is taken."""
BEYOND_EDGE = -5.0
"""Colour given to what surrounds a cut-out object, so that paths do not lead across it."""


def continued_depth(
    views: Sequence[View], depths: Sequence[DepthMap], points: PointCloud, cell: int
) -> list[DepthMap]:
    """Guess depth of pixels that stereo knows nothing of, where something speaks for the guess.

    1. Find the large planes among the points.
    2. Each pixel without depth looks for the nearest pixel with depth, along paths that avoid the photo's edges. If
       that lies on a plane, the plane goes on to here.
    3. If not, and the photo shows a cut-out object, the pixel takes that depth: an outline's inside has a surface.
    4. Guesses that another photo contradicts are dropped.

    On open ground without a plane nothing is guessed: there the nearest depth was measured to cost more than it brings
    (docs/results.md).

    Args:
        depths: one per view (`estimate_depth`).
        points: the cloud fused from them.
        cell: pixels, the side of the squares that are guessed as one.

    Returns:
        One map per view that holds the guesses alone, without confidence and marked as filled.
    """
    planes = find_planes(points)
    blurred = [cv2.blur(view.image, (cell, cell)) for view in views]
    known = np.concatenate([depth.depth[depth.depth > 0] for depth in depths])
    near, far = np.percentile(known, [OUTER_PERCENTILE, 100 - OUTER_PERCENTILE])
    bounds = DEPTH_RANGE[0] * float(near), DEPTH_RANGE[1] * float(far)
    results = []
    for index, (view, depth) in enumerate(zip(views, depths, strict=True)):
        guess, normal = _guesses(view, depth, planes, cell, bounds)
        row, column = np.nonzero(guess)
        positions = view.camera.unproject(np.stack([column + 0.5, row + 0.5], axis=-1), guess[row, column])
        ruled_out = np.zeros(len(row), bool)
        for other in range(len(views)):
            if other != index:
                said = testimony(
                    views[other], depths[other].depth, blurred[other], positions, blurred[index][row, column]
                )
                ruled_out |= said.contradicts
        guess[row[ruled_out], column[ruled_out]] = 0
        normal[guess == 0] = 0
        results.append(DepthMap(guess, np.zeros_like(guess), normal, guess > 0, depth.stride))
    return results


def joined(depth: DepthMap, guess: DepthMap) -> DepthMap:
    """Return a depth map whose gaps are closed by guesses."""
    gap = depth.depth == 0
    return DepthMap(
        np.where(gap, guess.depth, depth.depth),
        depth.confidence,
        np.where(gap[..., None], guess.normal, depth.normal),
        depth.filled | (gap & guess.filled),
        depth.stride,
    )


def _guesses(
    view: View, depth: DepthMap, planes: Sequence[Plane], cell: int, bounds: tuple[float, float]
) -> tuple[Float[ndarray, "H W"], Float[ndarray, "H W 3"]]:
    """Return a photo's guesses and their normals (camera axes), not yet held against the other photos."""
    allowed = matchable(view) & (depth.depth == 0)
    guess = np.zeros(depth.depth.shape, np.float32)
    normal = np.zeros((*depth.depth.shape, 3), np.float32)
    if not (depth.depth > 0).any() or not allowed.any():
        return guess, normal
    label, nearest = _nearest_known(view, depth, planes, cell)
    height, width = depth.depth.shape
    label, nearest = (
        np.repeat(np.repeat(values, cell, axis=0), cell, axis=1)[:height, :width]
        for values in (label, nearest)
    )
    rays = _rays(view)
    for number, plane in enumerate(planes):
        here = allowed & (label == number)
        z = plane.depth_along(view.camera.center, rays[here])
        guess[here] = np.where((z > bounds[0]) & (z < bounds[1]), z, 0)
        facing = plane.normal * np.sign(view.camera.center @ plane.normal + plane.offset)
        normal[here] = view.camera.world_to_camera[:3, :3] @ facing
    if view.cutout is not None:
        here = allowed & (label < 0)
        guess[here] = nearest[here]
        normal[here] = [0.0, 0.0, -1.0]
    return guess, normal


def _nearest_known(
    view: View, depth: DepthMap, planes: Sequence[Plane], cell: int
) -> tuple[Int[ndarray, "h w"], Float[ndarray, "h w"]]:
    """Return, per cell, the plane that the nearest cell with depth lies on (-1 for none), and that cell's depth."""
    cells = _cell_medians(depth.depth, cell)
    rows, columns = cells.shape
    padding = [(0, rows * cell - depth.depth.shape[0]), (0, columns * cell - depth.depth.shape[1]), (0, 0)]
    image = cv2.resize(
        np.pad(view.image, padding, mode="edge"), (columns, rows), interpolation=cv2.INTER_AREA
    )
    if view.cutout is not None:
        inside = np.pad(view.cutout, padding[:2], mode="edge").astype(np.float32)
        image[cv2.resize(inside, (columns, rows), interpolation=cv2.INTER_AREA) < 0.5] = BEYOND_EDGE
    label = np.full(cells.shape, -1)
    row, column = np.nonzero(cells)
    z = cells[row, column]
    positions = view.camera.unproject((np.stack([column, row], axis=-1) + 0.5) * cell, z)
    tolerance = 2 * TOLERANCE * z / view.camera.fx
    for number in reversed(range(len(planes))):  # a larger plane's claim goes first
        on = planes[number].distance(positions) < tolerance
        label[row[on], column[on]] = number
    origin = nearest_along_paths(image, cells > 0)
    nearest = cells.reshape(-1)[origin].reshape(cells.shape)
    return label.reshape(-1)[origin].reshape(cells.shape), cv2.medianBlur(nearest, SMOOTHING)


def _cell_medians(depth: Float[ndarray, "H W"], cell: int) -> Float[ndarray, "h w"]:
    """Return the median of each cell's known depths, 0 where it has none."""
    rows, columns = (-(-side // cell) for side in depth.shape)
    padded = np.pad(depth, [(0, rows * cell - depth.shape[0]), (0, columns * cell - depth.shape[1])])
    blocks = padded.reshape(rows, cell, columns, cell).swapaxes(1, 2).reshape(rows * columns, cell**2)
    medians = np.zeros(rows * columns, np.float32)
    has = (blocks > 0).any(axis=1)
    medians[has] = np.nanmedian(np.where(blocks[has] > 0, blocks[has], np.nan), axis=1)
    return medians.reshape(rows, columns)


def _rays(view: View) -> Float[ndarray, "H W 3"]:
    """Return each pixel's ray from the camera, in world axes, one unit of z long."""
    row, column = np.mgrid[: view.camera.height, : view.camera.width]
    pixels = np.stack([column + 0.5, row + 0.5], axis=-1).reshape(-1, 2)
    ends = view.camera.unproject(pixels, np.ones(len(pixels)))
    return (ends - view.camera.center).reshape(*row.shape, 3)
