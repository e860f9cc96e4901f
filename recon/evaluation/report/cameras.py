"""What the report's 3D view draws: cameras as pyramids with their photo, and a sample of the scene's points."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray

from recon.evaluation.report.contents import Contents, frame_name
from recon.evaluation.report.markup import embedded

MAX_POINTS = 20_000
"""Enough to recognise a scene in a picture of this size, and 240 kB of the report."""

THUMBNAIL_WIDTH = 112

SH_C0 = 0.28209479177387814
"""The constant spherical harmonic, 1 / (2 sqrt(pi)), that splat files scale their colour with."""


def camera_scene(contents: Contents) -> dict[str, Any] | None:
    """Return the 3D view's data, or None when the run has no usable camera.

    * `cameras`: name, split, centre, the picture's corners in world coordinates, and a thumbnail of each;
    * `points`: positions as 16-bit integers between `low` and `high`, and bytes of colour, both base64;
    * `view`: what to look at first: target, up direction, direction to look from, and distance.
    """
    cameras = _used_cameras(contents)
    if not cameras:
        return None
    centers = np.array([camera["center"] for camera in cameras])
    forwards = np.array([camera.pop("forward") for camera in cameras])
    ups = np.array([camera.pop("up") for camera in cameras])
    points, colors = _scene_points(contents)
    view = _first_view(centers, forwards, ups, points)
    size = _pyramid_size(centers, view["distance"])
    for camera in cameras:
        center = np.array(camera["center"])
        camera["corners"] = _rounded(center + size * np.array(camera.pop("rays")))
        camera["center"] = _rounded(center)
        camera["picture"] = _thumbnail(contents, camera["name"], camera["split"])
    return {"cameras": cameras, "points": _packed(points, colors, view), "view": view}


def _used_cameras(contents: Contents) -> list[dict[str, Any]]:
    """Return the cameras of the input and held-out views; a data set may hold more, which the run did not touch."""
    split = dict.fromkeys(contents.names("train"), "train") | dict.fromkeys(contents.names("test"), "test")
    cameras = []
    for frame in contents.frames:
        camera = _camera(frame, contents.cameras)
        if camera is not None and (not split or camera["name"] in split):
            cameras.append({**camera, "split": split.get(camera["name"], "train")})
    return cameras


def _camera(frame: dict[str, Any], shared: dict[str, Any]) -> dict[str, Any] | None:
    """Return a frame's centre, viewing direction and rays to the picture's corners, in world coordinates."""
    values = {**shared, **frame}
    try:
        pose = np.array(values["transform_matrix"], dtype=np.float64)
        width, height, fx = (float(values[key]) for key in ("w", "h", "fl_x"))
        fy, cx, cy = (
            float(values.get(k, v)) for k, v in (("fl_y", fx), ("cx", width / 2), ("cy", height / 2))
        )
    except (KeyError, TypeError, ValueError):
        return None
    usable = pose.shape == (4, 4) and np.isfinite(pose).all()
    if not (usable and np.isfinite([width, height, fx, fy, cx, cy]).all() and min(width, height, fx, fy) > 0):
        return None
    # transforms.json has OpenGL camera axes: x right, y up, the camera looks along -z.
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)])
    local = np.stack([(corners[:, 0] - cx) / fx, -(corners[:, 1] - cy) / fy, -np.ones(4)], axis=-1)
    rays = local @ pose[:3, :3].T
    # All pyramids are equally wide, whatever the focal length.
    rays *= 1.0 / max(width / fx, height / fy)
    return {
        "name": frame_name(frame),
        "center": pose[:3, 3].tolist(),
        "forward": (-pose[:3, 2]).tolist(),
        "up": pose[:3, 1].tolist(),
        "rays": rays.tolist(),
        "focal": float(f"{fx:.6g}"),
    }


def _first_view(
    centers: Float[ndarray, "N 3"],
    forwards: Float[ndarray, "N 3"],
    ups: Float[ndarray, "N 3"],
    points: Float[ndarray, "P 3"],
) -> dict[str, Any]:
    """Look over the shoulders of the cameras, from so far that they and nearly all points are in the picture."""
    middle, forward = centers.mean(axis=0), forwards.mean(axis=0)
    up = ups.mean(axis=0)
    up = up / np.linalg.norm(up) if np.linalg.norm(up) > 1e-6 else np.array([0.0, 0.0, 1.0])
    if len(points):
        content = np.percentile(points, [4, 96], axis=0)
    else:
        content = _closest_to_axes(centers, forwards)[None]
    low = np.minimum(content.min(axis=0), centers.min(axis=0))
    high = np.maximum(content.max(axis=0), centers.max(axis=0))
    target, reach = (low + high) / 2, max(float(np.linalg.norm(high - low)) / 2, 1e-6)
    back = middle - target
    if np.linalg.norm(back) < 0.2 * reach:  # cameras all around: no direction is behind them
        back = -forward if np.linalg.norm(forward) > 0.2 else np.cross(up, [0.3, 0.5, 0.8])
    return {
        "target": _rounded(target),
        "up": _rounded(up),
        "back": _rounded(back / np.linalg.norm(back)),
        "distance": float(f"{1.4 * reach:.6g}"),
    }


def _pyramid_size(centers: Float[ndarray, "N 3"], distance: float) -> float:
    """Return the depth of the drawn cameras: as large as their spacing allows, within what is visible at all."""
    apart = np.linalg.norm(centers[:, None] - centers[None], axis=-1)
    np.fill_diagonal(apart, np.inf)
    spacing = float(np.median(apart.min(axis=1))) if len(centers) > 1 else np.inf
    return float(np.clip(0.9 * spacing, 0.05 * distance, 0.12 * distance))


def _closest_to_axes(centers: Float[ndarray, "N 3"], forwards: Float[ndarray, "N 3"]) -> Float[ndarray, " 3"]:
    """Return the point closest to all optical axes, in front of the cameras."""
    projectors = np.eye(3) - forwards[:, :, None] * forwards[:, None, :]
    # The small weight on the centres' mean keeps parallel axes from sending the point to infinity.
    system = projectors.sum(axis=0) + 1e-3 * np.eye(3)
    right = np.einsum("nij,nj->i", projectors, centers) + 1e-3 * centers.mean(axis=0)
    point = np.linalg.solve(system, right)
    ahead = float(np.mean(np.einsum("ni,ni->n", point - centers, forwards)))
    spread = float(np.linalg.norm(centers - centers.mean(axis=0), axis=1).max()) or 1.0
    return point if ahead > 0.5 * spread else centers.mean(axis=0) + 2 * spread * forwards.mean(axis=0)


def _scene_points(contents: Contents) -> tuple[Float[ndarray, "P 3"], UInt8[ndarray, "P 3"]]:
    """Return a sample of the splat's Gaussians; of a run without a splat, the sparse points that cameras.json names."""
    empty = np.zeros((0, 3)), np.zeros((0, 3), np.uint8)
    named = contents.cameras.get("ply_file_path")
    for candidate in ("splat.ply", named):
        if not isinstance(candidate, str):
            continue
        path = (contents.path / candidate).resolve()
        if path.is_relative_to(contents.path.resolve()) and path.is_file():
            try:
                return _read_points(path)
            except Exception as error:  # plyfile raises many kinds; a report without points is still a report
                contents.problems.append(
                    f"{path.name}: its points could not be read ({error}), so none are drawn."
                )
    return empty


def _read_points(path: Path) -> tuple[Float[ndarray, "P 3"], UInt8[ndarray, "P 3"]]:
    from plyfile import PlyData

    vertices = PlyData.read(str(path), mmap="c")["vertex"].data
    names = vertices.dtype.names or ()
    if "opacity" in names:
        # What is nearly transparent is not what a person sees of the scene.
        opaque = np.flatnonzero(np.asarray(vertices["opacity"]) > 0.0)
        if len(opaque) >= 500:
            vertices = vertices[opaque]
    vertices = np.array(vertices[:: max(1, -(-len(vertices) // MAX_POINTS))])
    positions = np.stack([vertices[axis].astype(np.float64) for axis in "xyz"], axis=-1)
    if {"red", "green", "blue"} <= set(names):
        colors = np.stack([vertices[channel] for channel in ("red", "green", "blue")], axis=-1).astype(
            np.uint8
        )
    elif "f_dc_0" in names:
        coefficients = np.stack([vertices[f"f_dc_{channel}"] for channel in range(3)], axis=-1)
        colors = np.rint(np.clip(0.5 + SH_C0 * np.nan_to_num(coefficients), 0, 1) * 255).astype(np.uint8)
    else:
        colors = np.full((len(positions), 3), 128, np.uint8)
    finite = np.isfinite(positions).all(axis=1)
    return positions[finite], colors[finite]


def _packed(
    points: Float[ndarray, "P 3"], colors: UInt8[ndarray, "P 3"], view: dict[str, Any]
) -> dict[str, Any] | None:
    """Quantise the points that lie within reach of the view."""
    near = np.linalg.norm(points - view["target"], axis=1) < 6 * view["distance"]
    points, colors = points[near], colors[near]
    if not len(points):
        return None
    low, high = points.min(axis=0), points.max(axis=0)
    span = np.maximum(high - low, 1e-12)
    quantised = np.rint((points - low) / span * 65535).astype("<u2")
    return {
        "low": _rounded(low),
        "high": _rounded(low + span),
        "positions": base64.b64encode(quantised.tobytes()).decode(),
        "colors": base64.b64encode(np.ascontiguousarray(colors).tobytes()).decode(),
        "count": len(points),
    }


def _thumbnail(contents: Contents, name: str, split: str) -> str | None:
    picture = contents.image("truth/test" if split == "test" else "truth/train", name)
    return None if picture is None else embedded(picture, width=THUMBNAIL_WIDTH, quality=72)[0]


def _rounded(values: Any) -> Any:
    """Return nested lists of floats with six significant digits."""
    array = np.asarray(values, np.float64)
    return [_rounded(row) for row in array] if array.ndim > 1 else [float(f"{value:.6g}") for value in array]
