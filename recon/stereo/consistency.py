"""Do the photos' depth maps agree?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from recon.scene import Camera
from recon.stereo.working_view import WorkingView

MAX_REPROJECTION = 2.0
"""Pixels; 1.5 and half a pixel for reading the other depth map at the nearest pixel."""
MAX_RELATIVE_DEPTH = 0.01
FREE_SPACE = 0.97
"""A point nearer than this share of the depth that another photo sees behind it cannot be there."""

COLOR_WINDOW = 5
"""Pixels; colours are compared after averaging over this window, so that a small displacement does not matter."""
OTHER_COLOR = 0.2
"""Mean difference (sRGB) beyond which two pixels hardly show the same point: below 1 in 100 points that two photos'
depths agree on exceed it on fern and fox, 2 to 6 in 100 on the shiny scan65."""


@dataclass(frozen=True, eq=False)
class Reprojection:
    """A depth map's pixels seen from another photo.

    Attributes:
        known: indices (flat) of the pixels with depth that fall inside the other photo.
        column, row: the other photo's pixel they fall on.
        depth: their z there.
    """

    known: Int[ndarray, " N"]
    column: Int[ndarray, " N"]
    row: Int[ndarray, " N"]
    depth: Float[ndarray, " N"]


def agreement(
    camera: Camera, depth: Float[ndarray, "H W"], other: Camera, other_depth: Float[ndarray, "h w"]
) -> Bool[ndarray, "H W"]:
    """Return the pixels whose depth another photo's depth map confirms.

    A pixel is projected into the other photo; the depth found there must be within 1 % of its own, and that surface
    point, projected back, must fall within 2 pixels of where it started.
    """
    agrees = np.zeros(depth.size, dtype=bool)
    seen = reproject(camera, depth, other)
    surface = other_depth[seen.row, seen.column]
    close = np.abs(surface - seen.depth) < MAX_RELATIVE_DEPTH * seen.depth
    index, column, row, surface = seen.known[close], seen.column[close], seen.row[close], surface[close]
    back = relative_projection(other, camera)
    x, y, _ = _transform(back, column + np.float32(0.5), row + np.float32(0.5), surface)
    own_row, own_column = np.divmod(index, camera.width)
    distance = np.hypot(x - own_column - 0.5, y - own_row - 0.5)
    agrees[index[distance <= MAX_REPROJECTION]] = True
    return agrees.reshape(depth.shape)


def floats_in_front(
    camera: Camera, depth: Float[ndarray, "H W"], other: Camera, other_depth: Float[ndarray, "h w"]
) -> Bool[ndarray, "H W"]:
    """Return the pixels whose depth puts a surface where another photo looks through."""
    floats = np.zeros(depth.size, dtype=bool)
    seen = reproject(camera, depth, other)
    floats[seen.known[seen.depth < FREE_SPACE * other_depth[seen.row, seen.column]]] = True
    return floats.reshape(depth.shape)


def looks_different(
    view: WorkingView, depth: Float[ndarray, "H W"], other: WorkingView, other_depth: Float[ndarray, "h w"]
) -> Bool[ndarray, "H W"]:
    """Return the pixels whose point another photo, which knows no depth there, shows in another colour."""
    import cv2

    differs = np.zeros(depth.size, dtype=bool)
    seen = reproject(view.camera, depth, other.camera)
    unknown = (other_depth[seen.row, seen.column] == 0) & other.valid[seen.row, seen.column]
    own, there = (cv2.blur(v.image, (COLOR_WINDOW, COLOR_WINDOW)) for v in (view, other))
    difference = np.abs(own.reshape(-1, 3)[seen.known] - there[seen.row, seen.column]).mean(axis=-1)
    differs[seen.known[unknown & (difference > OTHER_COLOR)]] = True
    return differs.reshape(depth.shape)


def outside_cutout(
    view: WorkingView, depth: Float[ndarray, "H W"], other: WorkingView
) -> Bool[ndarray, "H W"]:
    """Return the pixels whose point falls beside the object in another photo that shows nothing else."""
    beside = np.zeros(depth.size, dtype=bool)
    if other.cutout is not None:
        seen = reproject(view.camera, depth, other.camera)
        beside[seen.known[~other.cutout[seen.row, seen.column]]] = True
    return beside.reshape(depth.shape)


def reproject(camera: Camera, depth: Float[ndarray, "H W"], other: Camera) -> Reprojection:
    """Project every pixel that has depth into another photo, to the nearest pixel."""
    known = np.flatnonzero(depth)
    own_row, own_column = np.divmod(known, camera.width)
    projection = relative_projection(camera, other)
    x, y, z = _transform(
        projection, own_column + np.float32(0.5), own_row + np.float32(0.5), depth.reshape(-1)[known]
    )
    inside = (z > 0) & (x >= 0) & (y >= 0) & (x < other.width) & (y < other.height)
    return Reprojection(known[inside], x[inside].astype(np.int32), y[inside].astype(np.int32), z[inside])


def relative_projection(camera: Camera, other: Camera) -> Float[ndarray, "3 4"]:
    """Return the map from (u, v, 1, inverse depth) of a camera's pixel to homogeneous pixels of another.

    The third component is the depth in the other camera divided by the depth in this one.
    """
    motion = other.world_to_camera @ camera.camera_to_world
    rotation = other.matrix @ motion[:3, :3] @ np.linalg.inv(camera.matrix)
    return np.concatenate([rotation, (other.matrix @ motion[:3, 3])[:, None]], axis=1)


def _transform(
    projection: ndarray, u: ndarray, v: ndarray, depth: ndarray
) -> tuple[ndarray, ndarray, ndarray]:
    """Apply a relative projection; returns positions and depth, in float32."""
    p = projection.astype(np.float32)
    inverse = np.float32(1) / depth.astype(np.float32)
    x, y, z = (p[row, 0] * u + (p[row, 1] * v + (p[row, 2] + p[row, 3] * inverse)) for row in range(3))
    with np.errstate(divide="ignore", invalid="ignore"):
        return x / z, y / z, z * depth
