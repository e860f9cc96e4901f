"""Fusing exact depth of a known surface, and the .glb it is written to."""

import json
import struct
import sys

import numpy as np
import pytest
import torch

from recon.errors import ReconError
from recon.export.glb import srgb_to_linear, write_glb
from recon.export.mesh import Mesh, fuse_depths, write_mesh
from recon.scene import Camera, look_at

RADIUS = 1.0
UP = np.array([0.0, -1.0, 0.0])


def sphere_view(position) -> tuple[Camera, np.ndarray, np.ndarray]:
    """Exact depth and colour (the normal) of a unit sphere at the origin."""
    camera = Camera(look_at(np.array(position, float), np.zeros(3), UP), 110, 110, 64, 48, 128, 96)
    rays = camera.unproject(camera.pixel_centers().reshape(-1, 2), np.ones(128 * 96)) - camera.center
    a, b = (rays**2).sum(axis=1), rays @ camera.center
    root = b**2 - a * (camera.center @ camera.center - RADIUS**2)
    z = np.where(root > 0, (-b - np.sqrt(np.maximum(root, 0))) / a, 0)
    normals = camera.center + z[:, None] * rays
    image = np.where(root[:, None] > 0, 0.5 + 0.5 * normals, 0)
    return camera, z.reshape(96, 128), image.reshape(96, 128, 3)


@pytest.fixture(scope="module")
def sphere() -> Mesh:
    positions = [
        [3, 0, 0],
        [-3, 0.1, 0],
        [0, 0, 3],
        [0, 0.1, -3],
        [0.1, 3, 0.2],
        [0, -3, 0.1],
        [2, 2, 2],
        [-2, -2, 2],
    ]
    cameras, depths, images = zip(*map(sphere_view, positions), strict=True)
    return fuse_depths(cameras, [torch.from_numpy(d) for d in depths], images)


def test_surface_is_where_it_should_be(sphere):
    radii = np.linalg.norm(sphere.vertices, axis=1)
    assert abs(np.median(radii) - RADIUS) < 0.004
    assert np.percentile(np.abs(radii - RADIUS), 99) < 0.03  # a pixel covers 0.02
    corners = sphere.vertices[sphere.faces].astype(np.float64)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = 0.5 * np.linalg.norm(normals, axis=1).sum()
    assert area == pytest.approx(4 * np.pi, rel=0.05)
    assert ((normals * corners.mean(axis=1)).sum(axis=1) > 0).mean() > 0.999  # faces look outwards


def test_colours_are_the_pictures(sphere):
    expected = 255 * (0.5 + 0.5 * sphere.vertices / np.linalg.norm(sphere.vertices, axis=1, keepdims=True))
    assert np.abs(sphere.colors - expected).mean() < 2


def test_only_what_was_seen_has_a_surface():
    """One camera sees the front: no lid is put on the back, nothing floats behind."""
    camera, z, image = sphere_view([0, 0, -3])
    mesh = fuse_depths([camera], [z], [image])
    assert mesh.vertices[:, 2].max() < 0.1
    assert np.abs(np.linalg.norm(mesh.vertices, axis=1) - RADIUS).max() < 0.06


def test_voxel_limit_and_specks():
    camera, z, image = sphere_view([0, 0, -3])
    z[5:8, 5:8] = 2.5  # a speck beside the sphere
    coarse = fuse_depths([camera], [z], [image], max_voxels=20_000)
    fine = fuse_depths([camera], [z], [image])
    assert len(coarse.vertices) < 0.5 * len(fine.vertices)
    assert np.abs(np.linalg.norm(fine.vertices, axis=1) - RADIUS).max() < 0.06


def test_no_surface_is_a_sentence():
    camera, z, image = sphere_view([0, 0, -3])
    for depth in (0 * z, np.full_like(z, np.nan)):
        with pytest.raises(ReconError, match="no depth is known"):
            fuse_depths([camera], [depth], [image])
    with pytest.raises(ValueError, match=r"depth: expected shape \(96, 128\), got \(95, 128\)"):
        fuse_depths([camera], [z[1:]], [image])


def test_missing_package_is_a_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.measure", None)
    with pytest.raises(ReconError, match=r"pip install 'recon\[mesh\]'"):
        fuse_depths(*([x] for x in sphere_view([0, 0, -3])))


def parse_glb(content: bytes) -> tuple[dict, list[np.ndarray]]:
    magic, version, length = struct.unpack_from("<4sII", content)
    assert (magic, version, length) == (b"glTF", 2, len(content))
    size, kind = struct.unpack_from("<I4s", content, 12)
    assert kind == b"JSON" and size % 4 == 0
    document = json.loads(content[20 : 20 + size])
    binary_size, kind = struct.unpack_from("<I4s", content, 20 + size)
    assert kind == b"BIN\0" and 28 + size + binary_size == len(content)
    binary = content[28 + size :]
    types = {5126: "<f4", 5125: "<u4", 5123: "<u2"}
    arrays = []
    for accessor in document["accessors"]:
        view = document["bufferViews"][accessor["bufferView"]]
        data = binary[view["byteOffset"] : view["byteOffset"] + view["byteLength"]]
        array = np.frombuffer(data, types[accessor["componentType"]]).reshape(accessor["count"], -1)
        assert array.shape[1] == {"SCALAR": 1, "VEC3": 3, "VEC4": 4}[accessor["type"]]
        arrays.append(array)
    return document, arrays


def test_glb_gives_the_mesh_back(tmp_path, sphere):
    write_mesh(tmp_path / "a.glb", sphere)
    document, (vertices, colors, faces) = parse_glb((tmp_path / "a.glb").read_bytes())
    np.testing.assert_array_equal(vertices, sphere.vertices)
    np.testing.assert_array_equal(faces.reshape(-1, 3), sphere.faces)
    linear = colors[:, :3] / 65535
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    np.testing.assert_array_equal(np.rint(255 * srgb), sphere.colors)
    assert (colors[:, 3] == 65535).all()
    assert document["accessors"][0]["min"] == vertices.min(axis=0).tolist()


def test_every_byte_survives_the_change_to_linear_colour(tmp_path):
    levels = np.arange(256)
    stored = np.rint(65535 * srgb_to_linear(levels / 255)) / 65535
    back = np.where(stored <= 0.0031308, 12.92 * stored, 1.055 * stored ** (1 / 2.4) - 0.055)
    np.testing.assert_array_equal(np.rint(255 * back), levels)
    write_glb(tmp_path / "a.glb", np.eye(3), np.array([[0, 1, 2]]), np.zeros((3, 3), np.uint8))
    assert parse_glb((tmp_path / "a.glb").read_bytes())[1][0].tolist() == np.eye(3).tolist()
