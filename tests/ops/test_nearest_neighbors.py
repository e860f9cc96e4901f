"""Nearest neighbours against the brute-force twin, and on the point sets that break grids."""

import pytest
import torch

from recon import _core
from recon.ops import nearest_neighbors, reference


def uniform(count, generator):
    return torch.rand(count, 3, generator=generator)


def clustered_with_outliers(count, generator):
    centers = torch.randn(8, 3, generator=generator)
    points = centers[torch.randint(8, (count,), generator=generator)]
    points = points + 1e-3 * torch.randn(count, 3, generator=generator)
    points[:3] *= 1e5
    return points


def on_a_plane(count, generator):
    points = torch.rand(count, 3, generator=generator)
    points[:, 1] = 0.25
    return points


@pytest.mark.parametrize("make", [uniform, clustered_with_outliers, on_a_plane])
@pytest.mark.parametrize(("count", "k"), [(2, 1), (17, 16), (40, 3), (1500, 1), (1500, 3), (700, 32)])
@pytest.mark.parametrize("instruction_set", ["baseline", "avx2", "avx512"])
def test_equals_twin(make, count, k, instruction_set, use_instruction_set):
    use_instruction_set(instruction_set)
    points = make(count, torch.Generator().manual_seed(count))
    distances, indices = nearest_neighbors(points, k)
    exact, _ = reference.nearest_neighbors(points.double(), k)
    torch.testing.assert_close(distances.double(), exact, rtol=1e-6, atol=1e-9)
    reached = (points.double()[indices] - points.double()[:, None]).norm(dim=-1)
    torch.testing.assert_close(reached, exact, rtol=1e-6, atol=1e-9)
    assert not (indices == torch.arange(count)[:, None]).any()
    assert all(len(set(row)) == k for row in indices.tolist())


def test_equal_distances_come_in_index_order():
    grid = torch.cartesian_prod(*[torch.arange(6.0)] * 3)[torch.randperm(216)]
    distances, indices = nearest_neighbors(grid, 26)
    expected_distances, expected_indices = reference.nearest_neighbors(grid, 26)
    assert torch.equal(distances, expected_distances)
    assert torch.equal(indices, expected_indices)


def test_duplicates_are_neighbours_at_distance_zero():
    points = torch.ones(100, 3)
    distances, indices = nearest_neighbors(points, 3)
    assert torch.equal(distances, torch.zeros(100, 3))
    assert indices[0].tolist() == [1, 2, 3] and indices[50].tolist() == [0, 1, 2]


def test_thread_count_changes_no_bit():
    points = torch.rand(20000, 3)
    before = _core.thread_count()
    try:
        results = []
        for threads in (1, 3):
            _core.set_thread_count(threads)
            results.append(nearest_neighbors(points, 4))
    finally:
        _core.set_thread_count(before)
    assert torch.equal(results[0][0], results[1][0]) and torch.equal(results[0][1], results[1][1])


def test_errors_say_what_was_expected():
    with pytest.raises(ValueError, match="more than k=3 points, got 3"):
        nearest_neighbors(torch.rand(3, 3), 3)
    with pytest.raises(ValueError, match="k from 1 to 32, got 0"):
        nearest_neighbors(torch.rand(3, 3), 0)
    with pytest.raises(ValueError, match="finite points"):
        nearest_neighbors(torch.full((5, 3), torch.nan), 1)
    with pytest.raises(ValueError, match=r"shape \[N 3\], got \[5, 2\]"):
        nearest_neighbors(torch.rand(5, 2), 1)
