"""Paths for a virtual camera: along the input cameras, around an object, or a spiral before a scene."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from recon.errors import ReconError
from recon.scene import Camera, look_at

_EXHAUSTIVE_ORDER = 12
"""Up to as many cameras, the shortest way through all is found exactly (dynamic programming, n^2 2^n steps)."""

_SAME_PLACE = 1e-6
"""Cameras nearer than this (see `distances_between`) count as one; rounding alone makes 1e-8."""


def fly_through(
    cameras: Sequence[Camera], frames: int, size: tuple[int, int] | None = None, *, reorder: bool = True
) -> list[Camera]:
    """Move smoothly from camera to camera, starting and stopping gently.

    Positions follow a monotone cubic spline, which never overshoots (into a wall, say); rotations follow a spline of
    quaternions that turns without jerks; the field of view changes along. Between cameras the speed is even.

    Args:
        cameras: at least 2, at different places or looking in different directions.
        frames: number of cameras to return, at least 2; the first and the last are input cameras.
        size: (width, height) of the pictures in pixels; default: the first camera's.
        reorder: visit the cameras in the order that makes the way shortest instead of the given one.

    Raises:
        ReconError: when there are fewer than 2 distinct cameras or frames.
    """
    from scipy.interpolate import PchipInterpolator
    from scipy.spatial.transform import Rotation, RotationSpline

    if frames < 2:
        raise ReconError(f"a fly-through needs at least 2 frames, got {frames}")
    if not cameras:
        raise ReconError("a fly-through needs at least 2 different cameras, got none")
    cameras = _same_size(cameras, size)
    if reorder:
        cameras = [cameras[i] for i in shortest_way(distances_between(cameras))]
    steps = np.diagonal(distances_between(cameras), offset=1)
    moves = steps > _SAME_PLACE
    cameras = [cameras[0], *(camera for camera, moved in zip(cameras[1:], moves, strict=True) if moved)]
    if len(cameras) < 2:
        raise ReconError("a fly-through needs at least 2 different cameras, but all are the same")
    times = np.concatenate([[0.0], np.cumsum(steps[moves])])
    moments = times[-1] * _gentle(np.linspace(0.0, 1.0, frames))
    positions = PchipInterpolator(times, [camera.center for camera in cameras])(moments)
    # World to camera, so that a turn is interpolated about the camera's own centre.
    rotations = RotationSpline(times, Rotation.from_matrix([c.world_to_camera[:3, :3] for c in cameras]))(
        moments
    )
    intrinsics = PchipInterpolator(times, [camera.intrinsics for camera in cameras])(moments)
    path = []
    for position, rotation, (fx, fy, cx, cy) in zip(
        positions, rotations.as_matrix(), intrinsics, strict=True
    ):
        camera = replace(cameras[0], fx=fx, fy=fy, cx=cx, cy=cy)
        path.append(camera.moved(_pose(rotation, position)))
    return path


def orbit(
    cameras: Sequence[Camera], frames: int, size: tuple[int, int] | None = None, *, turns: float = 1.0
) -> list[Camera]:
    """Circle around what the cameras look at, at their mean distance and height; for captures from all around.

    Raises:
        ReconError: when the cameras do not look at a common place.
    """
    middle = _mean_camera(cameras, size)
    target, up = _looked_at(cameras), mean_up(cameras)
    offsets = np.array([camera.center for camera in cameras]) - target
    height = float(np.mean(offsets @ up))
    flat = offsets - np.outer(offsets @ up, up)
    radius = float(np.mean(np.linalg.norm(flat, axis=1)))
    if radius < 1e-9 * (1 + abs(height)):
        raise ReconError("the cameras look straight along the up direction, so there is no circle to fly")
    start = flat[0] - (flat[0] @ up) * up
    start = start / np.linalg.norm(start) if np.linalg.norm(start) > 1e-9 * radius else _any_perpendicular(up)
    side = np.cross(up, start)
    path = []
    for angle in np.linspace(0.0, 2 * math.pi * turns, frames, endpoint=False):
        position = target + height * up + radius * (math.cos(angle) * start + math.sin(angle) * side)
        path.append(middle.moved(look_at(position, target, up)))
    return path


def spiral(
    cameras: Sequence[Camera],
    frames: int,
    focus_depth: float,
    size: tuple[int, int] | None = None,
    *,
    turns: float = 2.0,
) -> list[Camera]:
    """Circle within the space between forward-facing cameras while looking at one place before them.

    Args:
        focus_depth: distance of that place from the mean camera, in world units.

    Source: Mildenhall et al. 2019, "Local Light Field Fusion" (the usual path for such captures), without its radius
    beyond the inputs: the path stays within four fifths of their spread.
    """
    if not (focus_depth > 0 and math.isfinite(focus_depth)):
        raise ReconError(f"the focus depth must be positive, got {focus_depth}")
    middle = _mean_camera(cameras, size)
    axes = middle.world_to_camera[:3, :3]
    offsets = (np.array([camera.center for camera in cameras]) - middle.center) @ axes.T
    spread = 0.8 * np.abs(offsets).max(axis=0)
    target = middle.center + focus_depth * middle.forward
    path = []
    for t in np.linspace(0.0, 1.0, frames, endpoint=False):
        angle = 2 * math.pi * turns * t
        swing = spread * [math.cos(angle), math.sin(angle), math.sin(0.5 * angle)]
        path.append(middle.moved(look_at(middle.center + swing @ axes, target, -axes[1])))
    return path


def faces_forward(cameras: Sequence[Camera]) -> bool:
    """Tell whether all cameras look within 45 degrees of their mean direction, as before a wall or a stage."""
    directions = np.array([camera.forward for camera in cameras])
    mean = directions.mean(axis=0)
    length = np.linalg.norm(mean)
    return bool(length > 0.1 and (directions @ (mean / length)).min() > math.cos(math.pi / 4))


def distances_between(cameras: Sequence[Camera]) -> Float[ndarray, "N N"]:
    """Return how far apart cameras are: distance in units of the rig's size, plus the angle in radians."""
    centers = np.array([camera.center for camera in cameras])
    apart = np.linalg.norm(centers[:, None] - centers[None], axis=2)
    directions = np.array([camera.world_to_camera[:3, :3].ravel() for camera in cameras])
    angles = np.arccos(np.clip((directions @ directions.T - 1) / 2, -1, 1))
    extent = apart.max()
    return (apart / extent if extent > 0 else apart) + angles


def shortest_way(distances: Float[ndarray, "N N"]) -> list[int]:
    """Return the order that visits all with the least total distance (beyond a dozen: nearly)."""
    n = len(distances)
    way = _exact_way(distances) if n <= _EXHAUSTIVE_ORDER else _improved_way(distances)
    return way if way[0] <= way[-1] or n < 2 else way[::-1]


def _pose(rotation: Float[ndarray, "3 3"], center: Float[ndarray, " 3"]) -> Float[ndarray, "4 4"]:
    pose = np.eye(4)
    pose[:3, :3] = rotation
    pose[:3, 3] = -rotation @ center
    return pose


def _same_size(cameras: Sequence[Camera], size: tuple[int, int] | None) -> list[Camera]:
    """Return the cameras for pictures of one size, keeping pixels square where they are.

    The picture is fitted into the new shape as a whole: no camera sees less than before.
    """
    width, height = size or (cameras[0].width, cameras[0].height)
    fitted = []
    for camera in cameras:
        scale = min(width / camera.width, height / camera.height)
        fitted.append(
            replace(
                camera,
                fx=camera.fx * scale,
                fy=camera.fy * scale,
                cx=width / 2 + (camera.cx - camera.width / 2) * scale,
                cy=height / 2 + (camera.cy - camera.height / 2) * scale,
                width=width,
                height=height,
            )
        )
    return fitted


def _exact_way(distances: Float[ndarray, "N N"]) -> list[int]:
    """Held-Karp dynamic programming over sets of visited cameras."""
    n = len(distances)
    cost = np.full((1 << n, n), np.inf)
    before = np.zeros((1 << n, n), dtype=int)
    for last in range(n):
        cost[1 << last, last] = 0.0
    for visited in range(1, 1 << n):
        members = [i for i in range(n) if visited >> i & 1]
        for last in members if len(members) > 1 else ():
            rest = visited & ~(1 << last)
            options = cost[rest] + distances[:, last]
            before[visited, last] = options.argmin()
            cost[visited, last] = options.min()
    visited, way = (1 << n) - 1, [int(cost[-1].argmin())]
    while len(way) < n:
        previous = int(before[visited, way[-1]])
        visited &= ~(1 << way[-1])
        way.append(previous)
    return way


def _improved_way(distances: Float[ndarray, "N N"]) -> list[int]:
    """Always go to the nearest, then reverse stretches while that shortens the way (2-opt)."""
    n = len(distances)
    way = [int(distances.sum(axis=1).argmax())]
    left = set(range(n)) - set(way)
    while left:
        way.append(min(left, key=lambda i: (distances[way[-1], i], i)))
        left.remove(way[-1])
    improved = True
    while improved:
        improved = False
        for i in range(n - 1):
            for j in range(i + 1, n):
                old = (distances[way[i - 1], way[i]] if i else 0) + (
                    distances[way[j], way[j + 1]] if j + 1 < n else 0
                )
                new = (distances[way[i - 1], way[j]] if i else 0) + (
                    distances[way[i], way[j + 1]] if j + 1 < n else 0
                )
                if new < old - 1e-9:
                    way[i : j + 1] = way[i : j + 1][::-1]
                    improved = True
    return way


def _gentle(t: Float[ndarray, " N"]) -> Float[ndarray, " N"]:
    """Map [0, 1] to itself at even speed, except for the first and the last tenth, which speed up and slow down."""
    ramp, speed = 0.1, 1 / 0.9
    start = speed * t**2 / (2 * ramp)
    end = 1 - speed * (1 - t) ** 2 / (2 * ramp)
    return np.where(t < ramp, start, np.where(t > 1 - ramp, end, speed * (t - ramp / 2)))


def _mean_camera(cameras: Sequence[Camera], size: tuple[int, int] | None) -> Camera:
    """Return a camera at the mean position that looks along the mean direction with the mean field of view."""
    if not cameras:
        raise ReconError("a camera path needs at least one camera")
    cameras = _same_size(cameras, size)
    fx, fy, cx, cy = np.mean([camera.intrinsics for camera in cameras], axis=0)
    center = np.mean([camera.center for camera in cameras], axis=0)
    forward = np.mean([camera.forward for camera in cameras], axis=0)
    up = mean_up(cameras)
    if np.linalg.norm(np.cross(forward, up)) < 1e-3:
        forward = cameras[0].forward
    pose = look_at(center, center + forward, up)
    return replace(cameras[0], world_to_camera=pose, fx=fx, fy=fy, cx=cx, cy=cy)


def mean_up(cameras: Sequence[Camera]) -> Float[ndarray, " 3"]:
    """Return the unit direction, in the world, that is up in the cameras' pictures on average.

    Raises:
        ReconError: when the cameras do not agree on one.
    """
    up = -np.mean([camera.world_to_camera[1, :3] for camera in cameras], axis=0)
    length = np.linalg.norm(up)
    if length < 1e-3:
        raise ReconError("the cameras do not agree on which way is up")
    return up / length


def _looked_at(cameras: Sequence[Camera]) -> Float[ndarray, " 3"]:
    """Return the point nearest to all optical axes (least squares).

    Raises:
        ReconError: when the axes are parallel, or the point lies behind most cameras.
    """
    matrix, vector = np.zeros((3, 3)), np.zeros(3)
    for camera in cameras:
        across = np.eye(3) - np.outer(camera.forward, camera.forward)
        matrix += across
        vector += across @ camera.center
    if np.linalg.eigvalsh(matrix)[0] < 1e-3 * len(cameras):
        raise ReconError("the cameras look in the same direction, so there is no place to circle around")
    point = np.linalg.solve(matrix, vector)
    ahead = [float((point - camera.center) @ camera.forward) for camera in cameras]
    if np.median(ahead) <= 0:
        raise ReconError("the cameras look away from each other, so there is no place to circle around")
    return point


def _any_perpendicular(direction: Float[ndarray, " 3"]) -> Float[ndarray, " 3"]:
    perpendicular = np.cross(direction, np.eye(3)[np.abs(direction).argmin()])
    return perpendicular / np.linalg.norm(perpendicular)
