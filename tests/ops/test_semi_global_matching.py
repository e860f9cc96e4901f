"""Semi-global matching against its twin: integers, so to the last bit."""

import pytest
import torch

from recon import _core
from recon.ops import reference, semi_global_matching


def random_case(height, width, planes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    volume = torch.randint(0, 256, (height, width, planes), generator=generator, dtype=torch.uint8)
    gray = torch.randint(0, 256, (height, width), generator=generator, dtype=torch.uint8)
    return volume, gray


def assert_same(found, expected):
    assert torch.equal(found.best, expected.best)
    assert torch.equal(found.runner_up, expected.runner_up)
    torch.testing.assert_close(found.index, expected.index, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("height", "width", "planes"), [(1, 1, 16), (1, 9, 32), (11, 2, 16), (14, 19, 48)])
@pytest.mark.parametrize("instruction_set", ["baseline", "avx2", "avx512"])
def test_equals_twin(height, width, planes, instruction_set, use_instruction_set):
    use_instruction_set(instruction_set)
    volume, gray = random_case(height, width, planes)
    assert_same(semi_global_matching(volume, gray), reference.semi_global_matching(volume, gray))


def test_equals_twin_with_extreme_penalties():
    volume, gray = random_case(9, 8, 32)
    for small, large, edge in ((0, 0, 0.0), (4000, 4000, 0.0), (7, 900, 300.0)):
        options = {"small_penalty": small, "large_penalty": large, "edge_weight": edge}
        found = semi_global_matching(volume, gray, **options)
        assert_same(found, reference.semi_global_matching(volume, gray, **options))


def test_without_penalties_the_cheapest_plane_wins():
    volume, gray = random_case(6, 7, 32)
    found = semi_global_matching(volume, gray, small_penalty=0, large_penalty=0)
    assert torch.equal(found.best, 8.0 * volume.amin(dim=-1))
    assert ((found.index - volume.int().argmin(dim=-1)).abs() <= 0.5).all() or (
        volume.sort(dim=-1).values[..., 0] == volume.sort(dim=-1).values[..., 1]
    ).any()


def test_outliers_follow_their_neighbours():
    volume = torch.full((20, 20, 32), 100, dtype=torch.uint8)
    volume[..., 10] = 20
    volume[7, 9, 25] = 0  # a cheap accident
    found = semi_global_matching(volume, torch.zeros(20, 20, dtype=torch.uint8))
    assert (found.index == 10).all()


def test_thread_count_changes_no_bit():
    volume, gray = random_case(70, 83, 64)
    before = _core.thread_count()
    try:
        results = []
        for threads in (1, 2, 5):
            _core.set_thread_count(threads)
            results.append(semi_global_matching(volume, gray))
    finally:
        _core.set_thread_count(before)
    for other in results[1:]:
        assert torch.equal(results[0].index, other.index)
        assert torch.equal(results[0].best, other.best)
        assert torch.equal(results[0].runner_up, other.runner_up)


def test_errors_name_what_was_expected():
    volume, gray = random_case(4, 4, 16)
    with pytest.raises(ValueError, match="multiple of 16, got 8"):
        semi_global_matching(volume[..., :8], gray)
    with pytest.raises(ValueError, match="small_penalty <= large_penalty"):
        semi_global_matching(volume, gray, small_penalty=300)
    with pytest.raises(ValueError, match="gray"):
        semi_global_matching(volume, gray[:3])
