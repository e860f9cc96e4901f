"""Depth layers: as many as asked for, in order of depth, cut where depths are sparse."""

import numpy as np

from recon.coherence import depth_layers


def test_separate_surfaces_get_separate_layers_from_far_to_near():
    random = np.random.default_rng(0)
    surfaces = np.array([1.0, 1.5, 2.5, 5.0, 20.0])
    which = random.integers(5, size=(60, 80))
    depth = surfaces[which] * random.uniform(0.98, 1.02, which.shape)
    np.testing.assert_array_equal(depth_layers(depth, 5), 4 - which)


def test_layers_are_intervals_of_disparity():
    depth = np.random.default_rng(1).uniform(1, 30, (50, 50))
    layers = depth_layers(depth, 5)
    assert set(np.unique(layers)) == set(range(5))
    order = np.argsort(-depth.reshape(-1))
    assert (np.diff(layers.reshape(-1)[order]) >= 0).all()


def test_unknown_depth_has_no_layer_and_one_depth_makes_one_layer():
    depth = np.full((10, 10), 3.0)
    depth[0] = 0
    layers = depth_layers(depth, 5)
    assert (layers[0] == -1).all() and (layers[1:] == 0).all()
    assert (depth_layers(np.zeros((4, 4)), 5) == -1).all()
