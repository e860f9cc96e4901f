"""A triangle mesh from rendered depth: truncated signed distances on a grid, then marching cubes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from numpy import ndarray
from torch import Tensor

from recon.errors import ReconError
from recon.scene import Camera

_TRUNCATION = 4.0
"""Signed distances count up to this many voxels before and behind a surface, enough to average noise away."""

_EDGE_JUMP = 0.1
"""Where depth changes by more than this share between neighbouring pixels, a render blends two surfaces; left out."""

_GRAZING = 0.2
"""Surfaces seen at a smaller cosine are left to other cameras: distances along such rays are far too long."""

_BOX_PERCENTILES = (0.5, 99.5)
"""The grid spans these percentiles of the seen points along each axis: far background would make it coarse."""

_SMALLEST_COMPONENT = 0.002
"""Separate pieces with a smaller share of all triangles are floating specks."""

_SLAB_VOXELS = 1 << 20


@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles with a colour at every vertex.

    Attributes:
        vertices: [V, 3] world coordinates.
        faces: [F, 3] vertex indices, counter-clockwise seen from outside.
        colors: [V, 3] sRGB bytes.
    """

    vertices: Float[ndarray, "V 3"]
    faces: Int[ndarray, "F 3"]
    colors: UInt8[ndarray, "V 3"]


def fuse_depths(
    cameras: Sequence[Camera],
    depths: Sequence[Float[Tensor, "H W"] | Float[ndarray, "H W"]],
    images: Sequence[Float[Tensor, "H W 3"] | Float[ndarray, "H W 3"]],
    *,
    voxel_size: float | None = None,
    max_voxels: int = 1 << 24,
) -> Mesh:
    """Fuse depth pictures into one surface.

    Args:
        depths: z in world units for every camera, 0 where unknown (put 0 where a render is half transparent, too).
        images: sRGB in [0, 1] for every camera.
        voxel_size: in world units; default: what a pixel covers at the median depth.
        max_voxels: voxels are made larger until the grid has no more than these; memory is about 20 bytes each.

    Raises:
        ReconError: when scikit-image is missing, or the depths leave no surface.

    Source: Curless and Levoy 1996, "A Volumetric Method for Building Complex Models from Range Images";
    Lewiner et al. 2003, "Efficient Implementation of Marching Cubes' Cases" (in scikit-image).
    """
    marching_cubes = _load_marching_cubes()
    maps = [_usable_depth(camera, depth) for camera, depth in zip(cameras, depths, strict=True)]
    pictures = [_array(image) for image in images]
    for camera, picture in zip(cameras, pictures, strict=True):
        if picture.shape != (camera.height, camera.width, 3):
            raise ValueError(f"image: expected shape {(camera.height, camera.width, 3)}, got {picture.shape}")
    low, size, shape = _grid(cameras, maps, voxel_size, max_voxels)
    distances, known = _signed_distances(cameras, maps, low, size, shape)
    cells = _all_corners(known)
    if not (cells & (distances < 0)).any():
        raise ReconError("the depths meet no surface that two neighbouring voxels see; no mesh was made")
    try:
        # "descent" is what makes faces look to where distances are positive, that is, to the cameras.
        vertices, faces, _, _ = marching_cubes(distances, 0.0, mask=known, gradient_direction="descent")
    except (ValueError, RuntimeError) as error:  # what it raises when no cell has a sign change
        raise ReconError(f"the depths leave no surface to make a mesh of: {error}") from None
    # The mask's meaning at the border of what is known is not documented, so that is decided here.
    faces = faces[cells[tuple(vertices[faces].mean(axis=1).astype(np.intp).T)]]
    if not len(faces):
        raise ReconError("the depths leave no surface to make a mesh of")
    vertices, faces = _without_specks(vertices, faces)
    positions = (low + size * (vertices + 0.5)).astype(np.float32)
    return Mesh(positions, faces, _vertex_colors(positions, cameras, maps, pictures, _TRUNCATION * size))


def write_mesh(path: str | os.PathLike[str], mesh: Mesh) -> None:
    """Write a mesh as .glb; see `recon.export.glb`."""
    from recon.export.glb import write_glb

    write_glb(path, mesh.vertices, mesh.faces, mesh.colors)


def _load_marching_cubes():
    try:
        from skimage.measure import marching_cubes
    except ImportError:
        raise ReconError(
            "meshes need scikit-image, which is not installed: pip install 'recon[mesh]'"
        ) from None
    return marching_cubes


def _array(values: Tensor | ndarray) -> ndarray:
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)


def _usable_depth(camera: Camera, depth: Tensor | ndarray) -> Float[ndarray, "H W"]:
    """Return the depth with 0 where it is unknown, jumps, or is seen at a grazing angle."""
    z = np.nan_to_num(_array(depth).astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    if z.shape != (camera.height, camera.width):
        raise ValueError(f"depth: expected shape {(camera.height, camera.width)}, got {z.shape}")
    jumps = np.zeros(z.shape, bool)
    for axis in (0, 1):
        near, far = [slice(None)] * 2, [slice(None)] * 2
        near[axis], far[axis] = slice(None, -1), slice(1, None)
        a, b = z[tuple(near)], z[tuple(far)]
        jump = np.abs(a - b) > _EDGE_JUMP * np.minimum(a, b)
        jumps[tuple(near)] |= jump
        jumps[tuple(far)] |= jump
    return np.where(jumps | (z < 0) | (_facing(camera, z) < _GRAZING), 0, z)


def _facing(camera: Camera, z: Float[ndarray, "H W"]) -> Float[ndarray, "H W"]:
    """Return the cosine between each pixel's ray and the surface's normal, which neighbouring depths give."""
    if min(z.shape) < 2:
        return np.ones(z.shape)
    rays = np.concatenate([camera.pixel_centers() - [camera.cx, camera.cy], np.ones((*z.shape, 1))], axis=-1)
    rays[..., :2] /= [camera.fx, camera.fy]
    down, right = np.gradient(rays * z[..., None], axis=(0, 1))
    normals = np.cross(right, down)
    length = np.linalg.norm(normals, axis=-1) * np.linalg.norm(rays, axis=-1)
    return np.abs((normals * rays).sum(axis=-1)) / np.maximum(length, 1e-30)


def _grid(
    cameras: Sequence[Camera], maps: list[ndarray], voxel_size: float | None, max_voxels: int
) -> tuple[Float[ndarray, " 3"], float, tuple[int, int, int]]:
    """Choose the grid's lowest corner, voxel size and shape."""
    points, footprints = [], []
    for camera, z in zip(cameras, maps, strict=True):
        rows, columns = np.nonzero(z)
        kept = slice(None, None, 1 + len(rows) // 20_000)
        depth = z[rows, columns][kept].astype(np.float64)
        points.append(camera.unproject(np.stack([columns, rows], axis=1)[kept] + 0.5, depth))
        footprints.append(depth / camera.fx)
    seen = np.concatenate(points) if points else np.empty((0, 3))
    if len(seen) < 3:
        raise ReconError("no depth is known, so there is no surface to make a mesh of")
    low, high = np.percentile(seen, _BOX_PERCENTILES, axis=0)
    size = float(np.median(np.concatenate(footprints))) if voxel_size is None else float(voxel_size)
    while True:
        margin = (_TRUNCATION + 1) * size
        cells = np.maximum(np.ceil((high - low + 2 * margin) / size), 2)
        if cells.prod() <= max_voxels:
            return low - margin, size, tuple(int(n) for n in cells)  # type: ignore[return-value]
        size *= max(1.01, float((cells.prod() / max_voxels) ** (1 / 3)))


def _signed_distances(
    cameras: Sequence[Camera],
    maps: list[ndarray],
    low: Float[ndarray, " 3"],
    size: float,
    shape: tuple[int, int, int],
) -> tuple[Float[ndarray, "X Y Z"], Bool[ndarray, "X Y Z"]]:
    """Average, over the cameras, each voxel's truncated distance to the surface along the viewing direction.

    Returns:
        Distances in units of the truncation, at most 1, positive before the surface; and where any camera knows one.
    """
    distances, known = np.ones(shape, np.float32), np.zeros(shape, bool)
    thickness = max(1, _SLAB_VOXELS // (shape[1] * shape[2]))
    plane = np.stack(np.meshgrid(*(np.arange(n) for n in shape[1:]), indexing="ij"), axis=-1).reshape(-1, 2)
    for start in range(0, shape[0], thickness):
        layers = np.arange(start, min(start + thickness, shape[0]))
        indices = np.column_stack([np.repeat(layers, len(plane)), np.tile(plane, (len(layers), 1))])
        centers = low + size * (indices + 0.5)
        total, weight = np.zeros(len(centers), np.float32), np.zeros(len(centers), np.float32)
        for camera, z in zip(cameras, maps, strict=True):
            surface, depth = _sample(camera, z, centers)
            distance = (surface - depth) / (_TRUNCATION * size)
            counts = (surface > 0) & (distance > -1)
            total += np.where(counts, np.minimum(distance, 1), 0)
            weight += counts
        slab = slice(layers[0], layers[-1] + 1)
        block = (len(layers), *shape[1:])
        known[slab] = (weight > 0).reshape(block)
        distances[slab] = np.where(weight > 0, total / np.maximum(weight, 1), 1).reshape(block)
    return distances, known


def _sample(
    camera: Camera, z: Float[ndarray, "H W"], points: Float[ndarray, "N 3"]
) -> tuple[Float[ndarray, " N"], Float[ndarray, " N"]]:
    """Return the depth map's value where each point is seen (0 outside) and the point's own depth."""
    pixels, depth = camera.project(points)
    visible = (depth > 0) & (pixels >= 0).all(axis=1) & (pixels < [camera.width, camera.height]).all(axis=1)
    columns, rows = pixels[visible].astype(np.intp).T
    surface = np.zeros(len(points))
    surface[visible] = z[rows, columns]
    return surface, depth


def _all_corners(known: Bool[ndarray, "X Y Z"]) -> Bool[ndarray, "X Y Z"]:
    """Tell for every cell, named by its lowest corner, whether all its eight corners are known."""
    cells = known.copy()
    for axis in range(3):
        following = np.zeros_like(cells)
        to, source = [slice(None)] * 3, [slice(None)] * 3
        to[axis], source[axis] = slice(None, -1), slice(1, None)
        following[tuple(to)] = cells[tuple(source)]
        cells &= following
    return cells


def _without_specks(
    vertices: Float[ndarray, "V 3"], faces: Int[ndarray, "F 3"]
) -> tuple[Float[ndarray, "V 3"], Int[ndarray, "F 3"]]:
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    edges = np.concatenate([faces[:, :2], faces[:, 1:]])
    graph = coo_matrix((np.ones(len(edges), bool), edges.T), shape=(len(vertices), len(vertices)))
    _, labels = connected_components(graph, directed=False)
    sizes = np.bincount(labels[faces[:, 0]])
    faces = faces[sizes[labels[faces[:, 0]]] >= _SMALLEST_COMPONENT * len(faces)]
    used, renumbered = np.unique(faces, return_inverse=True)
    return vertices[used], renumbered.reshape(-1, 3).astype(np.int32)


def _vertex_colors(
    vertices: Float[ndarray, "V 3"],
    cameras: Sequence[Camera],
    maps: list[ndarray],
    pictures: list[ndarray],
    tolerance: float,
) -> UInt8[ndarray, "V 3"]:
    """Average the pictures that see a vertex, near ones counting more; a vertex that none sees takes the likeliest."""
    total, weight = np.zeros((len(vertices), 3)), np.zeros(len(vertices))
    for camera, z, picture in zip(cameras, maps, pictures, strict=True):
        surface, depth = _sample(camera, z, vertices.astype(np.float64))
        seen = surface > 0
        # Falls to 1e-11 at five tolerances: whoever really sees the vertex outvotes whom something blocks.
        fits = np.exp(-np.minimum(((surface - depth) / tolerance) ** 2, 25.0)) / np.maximum(depth, 1e-9) ** 2
        pixels, _ = camera.project(vertices[seen].astype(np.float64))
        columns, rows = pixels.astype(np.intp).T
        total[seen] += fits[seen, None] * np.clip(picture[rows, columns], 0, 1)
        weight[seen] += fits[seen]
    mean = np.where(weight[:, None] > 0, total / np.maximum(weight, 1e-300)[:, None], 0.5)
    return np.rint(255 * mean).astype(np.uint8)
