"""Procedural solids: outward normals, readable prints, closed surfaces, determinism."""

import numpy as np
import pytest

from recon.synth.noise import Noise
from recon.synth.shapes import SHAPES, Patch, Slab

ALL = sorted(SHAPES)


def built(name: str, seed: int = 0) -> list[Patch]:
    return SHAPES[name]().patches(Noise(seed))


@pytest.mark.parametrize("name", ALL)
def test_patches_are_well_formed(name):
    for patch in built(name):
        rows, columns = patch.points.shape[:2]
        assert patch.points.shape == patch.normals.shape == (rows, columns, 3)
        assert patch.u.shape == (columns,) and patch.v.shape == (rows,)
        assert np.isfinite(patch.points).all()
        assert patch.u[0] == pytest.approx(0, abs=1e-9) and (np.diff(patch.u) > 0).all()
        assert patch.v[0] == pytest.approx(0, abs=1e-9) and (np.diff(patch.v) > 0).all()


@pytest.mark.parametrize("name", ALL)
def test_columns_and_rows_turn_around_the_normal(name):
    """u x v points along the normal, so a print drawn with u to the right is not mirrored."""
    for patch in built(name):
        along_u = np.diff(patch.points, axis=1)[:-1]
        along_v = np.diff(patch.points, axis=0)[:, :-1]
        area = np.cross(along_u, along_v)
        size = np.linalg.norm(area, axis=-1)
        wide = size > 1e-3 * size.max()
        agreement = (area * patch.normals[:-1, :-1]).sum(axis=-1)[wide] / size[wide]
        assert np.median(agreement) > 0.9
        assert (agreement > 0).mean() > 0.97
        lengths = np.linalg.norm(patch.normals[:-1, :-1][wide], axis=-1)
        np.testing.assert_allclose(lengths, 1.0, atol=1e-6)


@pytest.mark.parametrize("name", ["slab", "rock"])
def test_closed_solids_enclose_their_volume(name):
    """By the divergence theorem the flux of x/3 through the patches is the volume."""
    shape = Slab((0.2, 0.3, 0.1), 0.01) if name == "slab" else SHAPES["rock"](roughness=0.0)
    volume = 0.0
    for patch in shape.patches(Noise(0)):
        p = patch.points
        for a, b, c in ((p[:-1, :-1], p[:-1, 1:], p[1:, 1:]), (p[:-1, :-1], p[1:, 1:], p[1:, :-1])):
            volume += (a * np.cross(b, c)).sum() / 6
    expected = 0.2 * 0.3 * 0.1 if name == "slab" else 4 / 3 * np.pi * 0.06 * 0.05 * 0.04
    assert volume == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("name", ALL)
def test_same_seed_same_shape(name):
    for first, again in zip(built(name), built(name), strict=True):
        assert np.array_equal(first.points, again.points)


@pytest.mark.parametrize("name", ["rock", "plant", "cloth"])
def test_other_seed_other_shape(name):
    pairs = zip(built(name, 0), built(name, 1), strict=True)
    assert any(not np.allclose(first.points, other.points, atol=1e-4) for first, other in pairs)


@pytest.mark.parametrize("name", ["slab", "lathe", "rock", "book", "mug"])
def test_solids_stand_on_the_ground(name):
    assert min(float(patch.points[..., 2].min()) for patch in built(name)) == pytest.approx(0.0, abs=1e-3)


def test_rock_patches_meet_without_gaps():
    edges = [
        edge
        for patch in built("rock")
        for edge in (patch.points[0], patch.points[-1], patch.points[:, 0], patch.points[:, -1])
    ]
    for edge in edges:
        distance = min(
            min(np.abs(edge - other).max(), np.abs(edge - other[::-1]).max())
            for other in edges
            if other is not edge
        )
        assert distance < 1e-6
