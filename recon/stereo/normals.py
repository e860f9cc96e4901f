"""Local planes and surface normals of a depth map."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from recon.scene import Camera

WINDOW = 5
SAME_SURFACE = 0.02
"""A fitted plane whose depth at the pixel is off by more than this share crosses an edge: it says nothing."""
STEEPEST = 0.1
"""Cosine between ray and normal below which (84 degrees) a slant is noise more often than surface."""


def normals_from_depth(camera: Camera, depth: Float[ndarray, "H W"]) -> Float[ndarray, "H W 3"]:
    """Fit a plane to the known depths around each pixel.

    Returns:
        Unit normals in camera axes that face the camera; straight back along the ray where the window crosses an
        edge or knows too little; 0 where depth is unknown.
    """
    slope, solvable = inverse_depth_slopes(depth)
    x = (np.arange(camera.width) + 0.5 - camera.cx) / camera.fx
    y = (np.arange(camera.height) + 0.5 - camera.cy) / camera.fy
    x, y = np.meshgrid(x, y)
    rays = np.stack([x, y, np.ones_like(x)], axis=-1)
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    known = depth > 0
    inverse = np.divide(1.0, depth, out=np.zeros(depth.shape), where=known)
    # On the plane n . p = d the inverse depth is (n . ray) / d: n points along its gradient over the rays.
    along_x, along_y = slope[..., 0] * camera.fx, slope[..., 1] * camera.fy
    normal = -np.stack([along_x, along_y, inverse - along_x * x - along_y * y], axis=-1)
    length = np.linalg.norm(normal, axis=-1, keepdims=True)
    normal = np.divide(normal, length, out=np.zeros_like(normal), where=length > 0)
    solvable &= (normal * rays).sum(axis=-1) < -STEEPEST
    normal = np.where(solvable[..., None], normal, -rays)
    return np.where(known[..., None], normal, 0.0).astype(np.float32)


def inverse_depth_slopes(
    depth: Float[ndarray, "H W"],
) -> tuple[Float[ndarray, "H W 2"], Bool[ndarray, "H W"]]:
    """Fit the inverse depth around each pixel, which is linear over the picture on a plane.

    Returns:
        Its change per pixel to the right and down (0 where nothing could be fitted), and where it could.
    """
    import cv2

    def mean(values: ndarray) -> ndarray:
        return cv2.boxFilter(values, -1, (WINDOW, WINDOW), borderType=cv2.BORDER_CONSTANT)

    known = depth > 0
    inverse = np.divide(1.0, depth, out=np.zeros(depth.shape), where=known)
    weight = known.astype(np.float64)
    y, x = np.indices(depth.shape, dtype=np.float64)
    count = np.maximum(mean(weight), 1e-9)
    mean_x, mean_y, mean_w = mean(weight * x) / count, mean(weight * y) / count, mean(inverse) / count
    xx = mean(weight * x * x) / count - mean_x**2
    yy = mean(weight * y * y) / count - mean_y**2
    xy = mean(weight * x * y) / count - mean_x * mean_y
    xw = mean(inverse * x) / count - mean_x * mean_w
    yw = mean(inverse * y) / count - mean_y * mean_w
    determinant = xx * yy - xy * xy
    # A full 5 x 5 window has variances of 2 each way, 4 in all; a sixtieth of that still holds a plane.
    solvable = known & (determinant > 0.06)
    safe = np.where(solvable, determinant, 1.0)
    along_x, along_y = (yy * xw - xy * yw) / safe, (xx * yw - xy * xw) / safe
    fitted = mean_w + along_x * (x - mean_x) + along_y * (y - mean_y)
    solvable &= np.abs(fitted - inverse) < SAME_SURFACE * inverse
    return np.where(solvable[..., None], np.stack([along_x, along_y], axis=-1), 0.0), solvable
