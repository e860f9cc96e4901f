"""Phase A recovers scales and offsets that were put in."""

import pytest
import torch

from recon.coherence import AlignmentSettings, align

DISTURBED = [(1.0, 0.0), (1.06, -0.1), (0.95, 0.15)]


def test_known_scales_and_offsets_are_undone(grids, flows):
    wrong = [
        grid.with_depth(scale * grid.depth + offset)
        for grid, (scale, offset) in zip(grids, DISTURBED, strict=True)
    ]
    settings = AlignmentSettings(iterations=600, scale=0.01, offset=0.01)
    aligned, found = align(wrong, flows, settings)
    for index, (before, after, truth) in enumerate(zip(wrong, aligned, grids, strict=True)):
        errors = [((grid.depth / truth.depth) - 1).abs().mean().item() for grid in (before, after)]
        assert errors[1] < (0.01 if index else 0.012)
        assert index == 0 or errors[1] < 0.4 * errors[0]
    assert found.shape == (3, 2)


def test_right_depths_stay_and_no_iterations_change_nothing(grids, flows):
    stayed, _ = align(grids, flows, AlignmentSettings(iterations=100))
    for before, after in zip(grids, stayed, strict=True):
        assert ((after.depth / before.depth) - 1).abs().max() < 0.01
    same, found = align(grids, flows, AlignmentSettings(iterations=0))
    assert torch.equal(same[1].depth, grids[1].depth)
    assert found[:, 0].tolist() == [1, 1, 1] and found[:, 1].tolist() == pytest.approx([0, 0, 0])


def test_photos_without_matches_are_left_alone(grids, flows):
    flows.pairs = {}
    same, _ = align(grids, flows, AlignmentSettings(iterations=10))
    assert torch.equal(same[2].depth, grids[2].depth)
