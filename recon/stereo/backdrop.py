"""A coarse backdrop behind the stereo points, so that gaps between them show what probably lies behind."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from scipy.ndimage import distance_transform_edt

from recon.scene import View
from recon.stereo.depth_map import DepthMap
from recon.stereo.points import PointCloud

MARGIN = 4
"""Cells by which the backdrop reaches beyond the photo's edges, with the colours of the edge."""
FAR_PERCENTILE = 80
"""A cell lies at this percentile of the depths in it: at what is behind, not at what is in front."""
BEHIND = 1.03
"""And this much further away, so that it never hides a matched point."""
LOOKED_THROUGH = 0.97
"""A cell nearer than this share of another photo's depth there stands in free space and is left out."""


def backdrop_points(views: Sequence[View], depths: Sequence[DepthMap], cell: int = 16) -> PointCloud:
    """Return one coarse point per cell of `cell` x `cell` pixels of every photo, behind the surfaces seen there.

    Args:
        depths: one per view (`estimate_depth`).
        cell: side of a cell in pixels.

    Returns:
        Points whose radius is half a cell and whose colour is that of the cell's farther pixels.
    """
    parts = [_cells_of_view(index, views, depths, cell) for index in range(len(views))]
    return PointCloud(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _cells_of_view(
    index: int, views: Sequence[View], depths: Sequence[DepthMap], cell: int
) -> tuple[ndarray, ...]:
    view = views[index]
    depth, color = _pooled(view, depths[index].depth, cell)
    depth, color = (
        np.pad(a, [(MARGIN, MARGIN)] * 2 + [(0, 0)] * (a.ndim - 2), mode="edge") for a in (depth, color)
    )
    rows, columns = np.indices(depth.shape)
    pixels = np.stack([(columns - MARGIN + 0.5) * cell, (rows - MARGIN + 0.5) * cell], axis=-1).reshape(-1, 2)
    depth, color = depth.reshape(-1), color.reshape(-1, 3)
    positions = view.camera.unproject(pixels, depth)
    keep = depth > 0
    for other, result in zip(views, depths, strict=True):
        if other is not view:
            keep &= ~_in_free_space(positions, other, result)
    toward_camera = view.camera.center - positions[keep]
    return (
        positions[keep].astype(np.float32),
        color[keep].astype(np.float32),
        (toward_camera / np.linalg.norm(toward_camera, axis=1, keepdims=True)).astype(np.float32),
        (depth[keep] * cell / view.camera.fx).astype(np.float32),
        np.zeros(int(keep.sum()), np.float32),
        np.full(int(keep.sum()), index, np.int32),
    )


def _pooled(view: View, depth: Float[ndarray, "H W"], cell: int) -> tuple[ndarray, ndarray]:
    """Return each cell's far depth (from the nearest cell that has any) and the mean colour of its far pixels."""
    height, width = depth.shape
    rows, columns = -(-height // cell), -(-width // cell)
    padding = [(0, rows * cell - height), (0, columns * cell - width)]
    valid = np.ones_like(depth, bool) if view.valid is None else view.valid

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
    return far * BEHIND, color


def _in_free_space(positions: Float[ndarray, "N 3"], view: View, result: DepthMap) -> Bool[ndarray, " N"]:
    """Tell which points another photo looks through, because it sees something behind them."""
    pixels, z = view.camera.project(positions)
    height, width = result.depth.shape
    inside = (z > 0) & (pixels >= 0).all(axis=1) & (pixels[:, 0] < width) & (pixels[:, 1] < height)
    column, row = (np.where(inside, pixels[:, axis], 0).astype(int) for axis in (0, 1))
    surface = result.depth[row, column]
    return inside & (surface > 0) & (z < LOOKED_THROUGH * surface)
