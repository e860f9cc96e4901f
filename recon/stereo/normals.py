"""Surface normals from a depth map."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from recon.scene import Camera

WINDOW = 5
SAME_SURFACE = 0.02
"""A fitted plane whose depth at the pixel is off by more than this share crosses an edge: it says nothing."""


def normals_from_depth(camera: Camera, depth: Float[ndarray, "H W"]) -> Float[ndarray, "H W 3"]:
    """Fit a plane to the known depths around each pixel.

    A plane's inverse depth is linear in the pixel position, so this is a linear least-squares fit over 5 x 5 pixels.

    Returns:
        Unit normals in camera axes that face the camera; straight back along the ray where the window crosses an edge
        or knows too little; 0 where depth is unknown.
    """
    known = depth > 0
    inverse = np.divide(1.0, depth, out=np.zeros(depth.shape), where=known)
    # Positions relative to the pixel itself, in ray slopes.
    x = ((np.arange(camera.width) + 0.5 - camera.cx) / camera.fx)[None, :]
    y = ((np.arange(camera.height) + 0.5 - camera.cy) / camera.fy)[:, None]
    gradient_x, gradient_y, fitted, solvable = _fit(known, inverse, x, y)
    solvable &= np.abs(fitted - inverse) < SAME_SURFACE * inverse
    # The plane n . p = d has inverse depth (n . ray) / d, so n is along the gradient of the inverse depth over rays.
    constant = inverse - gradient_x * x - gradient_y * y
    rays = np.stack(np.broadcast_arrays(x, y, 1.0), axis=-1)
    rays = rays / np.linalg.norm(rays, axis=-1, keepdims=True)
    normal = -np.stack([gradient_x, gradient_y, constant], axis=-1)
    length = np.linalg.norm(normal, axis=-1)
    normal = np.divide(normal, length[..., None], out=np.zeros_like(normal), where=length[..., None] > 0)
    # Steeper than 84 degrees is noise more often than surface.
    solvable &= (normal * rays).sum(axis=-1) < -0.1
    normal = np.where(solvable[..., None], normal, -rays)
    return np.where(known[..., None], normal, 0.0).astype(np.float32)


def _fit(
    known: ndarray, inverse: ndarray, x: ndarray, y: ndarray
) -> tuple[ndarray, ndarray, ndarray, ndarray]:
    """Return the slopes of the inverse depth, its fitted value at the pixel, and where the fit is determined."""
    import cv2

    def mean(values: ndarray) -> ndarray:
        values = np.ascontiguousarray(np.broadcast_to(values, known.shape), dtype=np.float64)
        return cv2.boxFilter(values, -1, (WINDOW, WINDOW), borderType=cv2.BORDER_CONSTANT)

    weight = known.astype(np.float64)
    count = np.maximum(mean(weight), 1e-9)
    mean_x, mean_y, mean_w = mean(weight * x) / count, mean(weight * y) / count, mean(inverse) / count
    xx = mean(weight * x * x) / count - mean_x**2
    yy = mean(weight * y * y) / count - mean_y**2
    xy = mean(weight * x * y) / count - mean_x * mean_y
    xw = mean(inverse * x) / count - mean_x * mean_w
    yw = mean(inverse * y) / count - mean_y * mean_w
    determinant = xx * yy - xy * xy
    pixel = (x[0, 1] - x[0, 0]) * (y[1, 0] - y[0, 0])
    # A full 5 x 5 window has variances of 2 pixels^2 each way; an eighth of that still holds a plane.
    solvable = known & (determinant > 0.06 * pixel**2)
    safe = np.where(solvable, determinant, 1.0)
    gradient_x = (yy * xw - xy * yw) / safe
    gradient_y = (xx * yw - xy * xw) / safe
    fitted = mean_w + gradient_x * (x - mean_x) + gradient_y * (y - mean_y)
    return gradient_x, gradient_y, fitted, solvable
