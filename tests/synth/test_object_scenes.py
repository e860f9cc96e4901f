"""Composed objects: every family stands on the platform, has its size, and repeats by seed."""

import numpy as np
import pytest

from recon.synth.noise import Noise
from recon.synth.object_scenes import (
    FAMILIES,
    LARGEST,
    SMALLEST,
    family_of,
    object_scene,
    object_seed,
)
from recon.synth.render import name_seed, rotation_of


def test_families_take_turns():
    count = len(FAMILIES)
    for seed in (0, 7):
        assert {family_of(seed, number) for number in range(count)} == set(FAMILIES)
        assert {family_of(seed, number) for number in range(count, 2 * count)} == set(FAMILIES)
    assert [family_of(0, n) for n in range(count)] != [family_of(7, n) for n in range(count)]


def test_every_family_has_a_size_that_cameras_and_platform_hold():
    for number in range(len(FAMILIES)):
        made = object_scene(3, number)
        assert SMALLEST * 0.99 <= max(made.extent) <= LARGEST, (made.family, made.extent)
        assert made.extent[2] <= 0.2301 and np.hypot(*made.extent[:2]) < 0.72
        assert len({part.name for part in made.parts}) == len(made.parts)


@pytest.mark.parametrize("family", ["sculpture", "hammer", "mannequin", "machine"])
def test_stands_on_the_platform_with_its_stated_size(family):
    number = next(number for number in range(len(FAMILIES)) if family_of(3, number) == family)
    made, seed = object_scene(3, number), object_seed(3, number)
    points = np.concatenate(
        [
            patch.points.reshape(-1, 3) @ rotation_of(part.rotation).T + part.position
            for part in made.parts
            for patch in part.shape.patches(Noise(seed, name_seed(part.name)))
        ]
    )
    assert np.isfinite(points).all()
    assert points[:, 2].min() == pytest.approx(0.0, abs=1e-9)
    assert np.ptp(points[:, 2]) == pytest.approx(made.extent[2], abs=1e-9)
    assert np.hypot(points[:, 0], points[:, 1]).max() < 0.36  # on the platform, and clear of the cameras


def test_same_seed_same_object():
    first = object_scene(5, 2)
    object_scene.cache_clear()
    assert object_scene(5, 2) == first != object_scene(6, 2)
