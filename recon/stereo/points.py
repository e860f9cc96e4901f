"""Depth maps fused into one cloud of points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from recon.errors import ReconError
from recon.scene import View
from recon.stereo.consistency import reproject
from recon.stereo.depth_map import DepthMap

SAME_POINT = 0.01
"""Pixels of two photos whose depths agree to this share show the same point."""


@dataclass(frozen=True, eq=False)
class PointCloud:
    """Surface points, one per pixel that has depth.

    Attributes:
        positions: [N, 3] float32, world coordinates.
        colors: [N, 3] float32, sRGB in [0, 1].
        normals: [N, 3] float32, unit, world axes, facing the photo they come from.
        radii: [N] float32, footprint: the size of a pixel at the point's depth, depth / focal length, times the
            pixel stride.
        confidence: [N] float32 in [0, 1].
        views: [N] int32, index of the photo each point comes from.
    """

    positions: Float[ndarray, "N 3"]
    colors: Float[ndarray, "N 3"]
    normals: Float[ndarray, "N 3"]
    radii: Float[ndarray, " N"]
    confidence: Float[ndarray, " N"]
    views: Int[ndarray, " N"]

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, index) -> PointCloud:
        """Select points by slice, boolean mask or indices."""
        return PointCloud(
            self.positions[index],
            self.colors[index],
            self.normals[index],
            self.radii[index],
            self.confidence[index],
            self.views[index],
        )


def fuse_points(
    views: Sequence[View],
    depths: Sequence[DepthMap],
    *,
    min_confidence: float = 0.0,
    stride: int = 1,
    merge: bool = False,
) -> PointCloud:
    """Turn every pixel that has depth into a point.

    Args:
        depths: one per view (`estimate_depth`).
        min_confidence: leave out less confident pixels.
        stride: take every stride-th pixel in both directions.
        merge: leave out a pixel where an earlier photo has the same point at least as finely.
    """
    if len(views) != len(depths):
        raise ReconError(
            f"fuse_points: got {len(views)} views but {len(depths)} depth maps; pass one per view"
        )
    parts = [
        _points_of_view(index, views, depths, min_confidence, stride, merge) for index in range(len(views))
    ]
    columns = zip(*parts, strict=True)
    return PointCloud(*(np.concatenate(column) for column in columns))


def _points_of_view(
    index: int,
    views: Sequence[View],
    depths: Sequence[DepthMap],
    min_confidence: float,
    stride: int,
    merge: bool,
) -> tuple[ndarray, ...]:
    view, result = views[index], depths[index]
    expected = (view.camera.height, view.camera.width)
    if result.depth.shape != expected:
        raise ReconError(
            f"fuse_points: the depth of {view.name} is {result.depth.shape}, but its photo {expected}"
        )
    take = _sampled(result, min_confidence, stride)
    if merge:
        for earlier in range(index):
            take &= ~_already_seen(view, result, views[earlier], depths[earlier], min_confidence)
    row, column = np.nonzero(take)
    depth = result.depth[row, column]
    pixels = np.stack([column + 0.5, row + 0.5], axis=1)
    return (
        view.camera.unproject(pixels, depth).astype(np.float32),
        view.image[row, column].astype(np.float32),
        (result.normal[row, column] @ view.camera.world_to_camera[:3, :3]).astype(np.float32),
        (depth * stride / np.sqrt(view.camera.fx * view.camera.fy)).astype(np.float32),
        result.confidence[row, column].astype(np.float32),
        np.full(len(row), index, np.int32),
    )


def _sampled(result: DepthMap, min_confidence: float, stride: int) -> Bool[ndarray, "H W"]:
    take = (result.depth > 0) & (result.confidence >= min_confidence)
    grid = np.zeros_like(take)
    grid[stride // 2 :: stride, stride // 2 :: stride] = True
    return take & grid


def _already_seen(
    view: View, result: DepthMap, earlier: View, earlier_result: DepthMap, min_confidence: float
) -> Bool[ndarray, "H W"]:
    """Return the pixels whose point an earlier photo has as well, with pixels no larger there."""
    seen = np.zeros(result.depth.size, dtype=bool)
    there = reproject(view.camera, result.depth, earlier.camera)
    surface = earlier_result.depth[there.row, there.column]
    trusted = earlier_result.confidence[there.row, there.column] >= min_confidence
    same = trusted & (np.abs(surface - there.depth) < SAME_POINT * there.depth)
    finer = surface / earlier.camera.fx <= result.depth.reshape(-1)[there.known] / view.camera.fx * 1.1
    seen[there.known[same & finer]] = True
    return seen.reshape(result.depth.shape)
