"""Large planes in a cloud of stereo points: floors, walls, table tops."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from recon.stereo.points import PointCloud

MOST_PLANES = 6
LEAST_SHARE = 0.06
"""Of all points, that a plane must hold: the cap of a round object holds 4 in 100."""
TOLERANCE = 2.0
"""Footprints (`PointCloud.radii`) by which a point of a plane may lie off it: depth of distant, weakly textured surface
wavers by one to two."""
SAME_DIRECTION = 0.8
"""Cosine between a plane's normal and its points' own, which keeps curved surface and clutter out."""
TRIALS = 300
"""Random planes tried for each that is found."""
NEIGHBORHOOD = 0.1
"""A trial's three points lie within this share of the cloud from one another, in its order, which is that of a photo's
pixels: so a plane of 6 in 100 points is hit by dozens of trials instead of by chance."""
SAMPLE = 20_000
"""Points that trials are judged by."""


@dataclass(frozen=True, eq=False)
class Plane:
    """All x with normal · x + offset = 0.

    Attributes:
        normal: [3] unit, world axes.
        share: of the points that lie on it.
    """

    normal: Float[ndarray, " 3"]
    offset: float
    share: float

    def distance(self, points: Float[ndarray, "N 3"]) -> Float[ndarray, " N"]:
        return np.abs(points @ self.normal + self.offset)

    def depth_along(
        self, origin: Float[ndarray, " 3"], directions: Float[ndarray, "N 3"]
    ) -> Float[ndarray, " N"]:
        """Return how many `directions` each ray goes from `origin` to the plane; infinite or negative where it does not
        meet it."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return -(origin @ self.normal + self.offset) / (directions @ self.normal)


def find_planes(points: PointCloud, seed: int = 0) -> list[Plane]:
    """Return the large planes of a cloud, the largest first (RANSAC, one after another; Fischler and Bolles 1981).

    Equal clouds and seeds give equal planes.
    """
    random = np.random.default_rng(seed)
    chosen = np.sort(random.permutation(len(points))[:SAMPLE])
    positions = points.positions[chosen].astype(np.float64)
    normals = points.normals[chosen].astype(np.float64)
    tolerance = TOLERANCE * points.radii[chosen].astype(np.float64)
    free = np.ones(len(positions), bool)
    planes: list[Plane] = []
    while len(planes) < MOST_PLANES and free.sum() >= max(3, LEAST_SHARE * len(positions)):
        index = np.flatnonzero(free)
        plane = _largest(positions[index], normals[index], tolerance[index], random)
        if plane is None or plane.share * len(index) < LEAST_SHARE * len(positions):
            break
        share = plane.share * len(index) / len(positions)
        planes.append(Plane(plane.normal, plane.offset, share))
        free &= plane.distance(positions) > tolerance
    return planes


def _largest(
    positions: Float[ndarray, "N 3"],
    normals: Float[ndarray, "N 3"],
    tolerance: Float[ndarray, " N"],
    random: np.random.Generator,
) -> Plane | None:
    """Return the plane of the most points, fitted to them by least squares; None when all trials are degenerate."""
    best: Bool[ndarray, " N"] | None = None
    reach = max(3, int(NEIGHBORHOOD * len(positions)))
    for _ in range(TRIALS):
        first = int(random.integers(len(positions)))
        near = (first + random.integers(-reach, reach + 1, size=2)) % len(positions)
        normal = np.cross(*(positions[near] - positions[first]))
        length = np.linalg.norm(normal)
        if length == 0:
            continue
        normal = normal / length
        inliers = _on_plane(positions, normals, tolerance, normal, -float(normal @ positions[first]))
        if best is None or inliers.sum() > best.sum():
            best = inliers
    if best is None or best.sum() < 3:
        return None
    for _ in range(2):
        center = positions[best].mean(axis=0)
        _, _, axes = np.linalg.svd(positions[best] - center, full_matrices=False)
        normal, offset = axes[2], -float(axes[2] @ center)
        best = _on_plane(positions, normals, tolerance, normal, offset)
        if best.sum() < 3:
            return None
    return Plane(normal, offset, float(best.mean()))


def _on_plane(
    positions: Float[ndarray, "N 3"],
    normals: Float[ndarray, "N 3"],
    tolerance: Float[ndarray, " N"],
    normal: Float[ndarray, " 3"],
    offset: float,
) -> Bool[ndarray, " N"]:
    return (np.abs(positions @ normal + offset) < tolerance) & (np.abs(normals @ normal) > SAME_DIRECTION)
