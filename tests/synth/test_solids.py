"""Solids are closed, face outwards, and lie where their definition says."""

import numpy as np
import pytest

from recon.synth.noise import Noise
from recon.synth.solids import SOLIDS, Carved, Extrusion, Ring, Scaled, Superquadric


def volume(patches) -> float:
    """Return the volume inside by the divergence theorem: right only if closed and facing outwards everywhere."""
    total = 0.0
    for patch in patches:
        p = patch.points
        a, b, c, d = p[:-1, :-1], p[:-1, 1:], p[1:, 1:], p[1:, :-1]
        for x, y, z in ((a, b, c), (a, c, d)):
            total += float(np.einsum("...i,...i->...", x, np.cross(y, z)).sum()) / 6
    return total


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (Superquadric((0.03, 0.04, 0.05), (1.0, 1.0)), 4 / 3 * np.pi * 0.03 * 0.04 * 0.05),
        (Superquadric((0.03, 0.04, 0.05), (0.05, 0.05)), 8 * 0.03 * 0.04 * 0.05),
        (Extrusion("polygon", 4, 0.05, 0.1, bevel=1e-5), 2 * 0.05**2 * 0.1),
        (Extrusion("polygon", 60, 0.05, 0.1, taper=0.5, bevel=1e-5), np.pi / 3 * 0.1 * 0.05**2 * 1.75),
        (
            Extrusion("star", 5, 0.05, 0.02, twist=40.0, bevel=1e-5),
            5 * 0.05 * 0.0375 * np.sin(np.pi / 5) * 0.02,
        ),
        (Ring(0.04, 0.01), 2 * np.pi**2 * 0.04 * 0.01**2),
        (Ring(0.04, 0.01, upright=True), 2 * np.pi**2 * 0.04 * 0.01**2),
        (Scaled(Ring(0.04, 0.01), 2.0), 16 * np.pi**2 * 0.04 * 0.01**2),
    ],
)
def test_volume_of_known_solids(shape, expected):
    assert volume(shape.patches(Noise(1))) == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize(
    "shape",
    [
        Superquadric((0.05, 0.03, 0.02), (0.2, 1.4)),
        Carved((0.06, 0.05, 0.04), cuts=5, scoops=3),
        Extrusion("gear", 12, 0.05, 0.02, twist=15.0),
        Extrusion("lobes", 5, 0.05, 0.03, taper=0.6),
        Extrusion("cross", 4, 0.05, 0.03, depth=0.4),
        Ring(0.04, 0.01),
        Scaled(Carved(), 0.5),
    ],
)
def test_stand_on_the_ground_with_unit_normals(shape):
    patches = shape.patches(Noise(3))
    points = np.concatenate([patch.points.reshape(-1, 3) for patch in patches])
    assert points[:, 2].min() == pytest.approx(0.0, abs=1e-6)
    for patch in patches:
        assert patch.points.shape == (len(patch.v), len(patch.u), 3) == patch.normals.shape
        assert np.allclose(np.linalg.norm(patch.normals, axis=-1), 1, atol=1e-6)
        assert (np.diff(patch.u) > 0).all() and (np.diff(patch.v) > 0).all()


def test_carving_takes_away_and_depends_on_the_seed():
    whole = volume(Superquadric((0.06, 0.06, 0.06), (0.6, 0.6)).patches(Noise(0)))
    first, again, other = (volume(Carved().patches(Noise(seed))) for seed in (1, 1, 2))
    assert first == again != other
    assert 0.3 * whole < first < 0.97 * whole


def test_every_solid_can_be_named_in_a_recipe():
    from recon.synth import load_recipe

    placed = {
        "name": "it",
        "shape": {"kind": "scaled", "shape": {"kind": "carved"}, "factor": 2},
        "material": {"kind": "metal"},
    }
    recipe = load_recipe({"objects": [placed], "cameras": {"train": {"kind": "arc"}}, "name": "one"})
    assert recipe.objects[0].shape == Scaled(Carved(), 2.0)
    assert set(SOLIDS) == {"superquadric", "carved", "extrusion", "ring", "scaled"}
