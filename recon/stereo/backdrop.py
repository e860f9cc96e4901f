"""A coarse backdrop behind the stereo points, so that gaps between them show what probably lies behind."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.ndimage import distance_transform_edt

from recon.scene import View
from recon.stereo.contradiction import testimony
from recon.stereo.depth_map import DepthMap
from recon.stereo.points import PointCloud
from recon.stereo.working_view import matchable

MARGIN = 4
"""Cells by which the backdrop reaches beyond the photo's edges, with the colours of the edge."""
FAR_PERCENTILE = 80
"""A cell lies at this percentile of the depths in it: at what is behind, not at what is in front."""
BEHIND = 1.03
"""And this much further away, so that it never hides a matched point."""
PUSHED_BACK = (1.0, 1.1, 1.2, 1.4, 1.8, 2.5)
"""A cell that another photo contradicts is tried at these multiples of its depth and left out when none fits."""


def backdrop_points(views: Sequence[View], depths: Sequence[DepthMap], cell: int = 16) -> PointCloud:
    """Return one coarse point per cell of `cell` x `cell` pixels of every photo, behind the surfaces seen there.

    No point is where another photo looks through it or shows another colour, nor beside the object where photos show
    nothing else.

    Args:
        depths: one per view (`estimate_depth`).
        cell: side of a cell in pixels.

    Returns:
        Points whose radius is half a cell and whose colour is that of the cell's farther pixels.
    """
    blurred = [cv2.blur(view.image, (cell, cell)) for view in views]
    parts = [_cells_of_view(index, views, depths, blurred, cell) for index in range(len(views))]
    return PointCloud(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _cells_of_view(
    index: int,
    views: Sequence[View],
    depths: Sequence[DepthMap],
    blurred: Sequence[Float[ndarray, "H W 3"]],
    cell: int,
) -> tuple[ndarray, ...]:
    view = views[index]
    depth, color = _pooled(view, depths[index].depth, cell)
    if view.cutout is None:  # an object ends at its outline, the world goes on beyond the frame
        edges = [(MARGIN, MARGIN)] * 2
        depth, color = np.pad(depth, edges, mode="edge"), np.pad(color, [*edges, (0, 0)], mode="edge")
    margin = 0 if view.cutout is not None else MARGIN
    rows, columns = np.nonzero(depth)
    depth, color = depth[rows, columns], color[rows, columns]
    pixels = (np.stack([columns, rows], axis=-1) - margin + 0.5) * cell
    others = [other for other in range(len(views)) if other != index]

    placed = np.zeros(len(depth))
    for factor in PUSHED_BACK if view.cutout is None else PUSHED_BACK[:1]:
        free = np.flatnonzero(placed == 0)
        trial = depth[free] * factor
        positions = view.camera.unproject(pixels[free], trial)
        fits = np.ones(len(free), bool)
        for other in others:
            said = testimony(views[other], depths[other].depth, blurred[other], positions, color[free])
            fits &= ~said.contradicts
        placed[free[fits]] = trial[fits]
    keep = placed > 0
    positions = view.camera.unproject(pixels[keep], placed[keep])
    toward_camera = view.camera.center - positions
    return (
        positions.astype(np.float32),
        color[keep].astype(np.float32),
        (toward_camera / np.linalg.norm(toward_camera, axis=1, keepdims=True)).astype(np.float32),
        (placed[keep] * cell / view.camera.fx).astype(np.float32),
        np.zeros(int(keep.sum()), np.float32),
        np.full(int(keep.sum()), index, np.int32),
    )


def _pooled(view: View, depth: Float[ndarray, "H W"], cell: int) -> tuple[ndarray, ndarray]:
    """Return each cell's far depth (from the nearest cell that has any) and the mean colour of its far pixels.

    The depth is 0 where no cell has any, and where a cell lies outside a cut-out.
    """
    height, width = depth.shape
    rows, columns = -(-height // cell), -(-width // cell)
    padding = [(0, rows * cell - height), (0, columns * cell - width)]
    valid = matchable(view)

    def blocks(values: ndarray) -> ndarray:
        extra = values.shape[2:]
        padded = np.pad(values, padding + [(0, 0)] * len(extra))
        return (
            padded.reshape(rows, cell, columns, cell, *extra)
            .swapaxes(1, 2)
            .reshape(rows, columns, cell**2, *extra)
        )

    known = blocks((depth > 0) & valid)
    values = np.where(known, blocks(depth), np.nan)
    has = known.any(axis=-1)
    far = np.zeros((rows, columns), np.float32)
    if has.any():
        far[has] = np.nanpercentile(values[has], FAR_PERCENTILE, axis=-1)
        nearest = distance_transform_edt(~has, return_distances=False, return_indices=True)
        far = far[tuple(nearest)]
    # Pixels without depth count as far: gaps are mostly what only one photo sees, beside what stands in front.
    behind = blocks(valid) & (np.nan_to_num(values, nan=np.inf) >= 0.97 * far[..., None])
    weight = behind[..., None].astype(np.float32)
    plain = blocks(valid)[..., None].astype(np.float32)
    weight = np.where(weight.sum(axis=2, keepdims=True) > 0, weight, plain)
    color = (blocks(view.image) * weight).sum(axis=2) / np.maximum(weight.sum(axis=2), 1)
    if view.cutout is not None:
        far = np.where(blocks(valid).mean(axis=-1) >= 0.5, far, 0)
    return far * BEHIND, color
