"""The slanted-plane refinement against its twin and against the true surface."""

import math

import pytest
import torch

from recon import _core
from recon.ops import reference, refine_planes
from tests.ops.sweep_cases import slanted_case


def disturbed(case, share, seed=0):
    """The true inverse depth, off by up to `share`, and no plane in a corner."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.rand(case.inverse_depth.shape, generator=generator) * 2 - 1
    start = case.inverse_depth * (1 + share * noise)
    start[:4, :5] = 0
    return start, torch.zeros(*start.shape, 2)


@pytest.mark.parametrize("instruction_set", ["baseline", "avx2", "avx512"])
@pytest.mark.parametrize("sweeps", [0, 1, 3])
def test_equals_twin(sweeps, instruction_set, use_instruction_set):
    use_instruction_set(instruction_set)
    case = slanted_case()
    arguments = (*case[:4], *disturbed(case, 0.02))
    options = {"focal": case.focal, "sweeps": sweeps}
    found, expected = refine_planes(*arguments, **options), reference.refine_planes(*arguments, **options)
    # A choice between two equally good planes may fall either way, and then spreads.
    same = (found.inverse_depth - expected.inverse_depth).abs() <= 1e-5 * expected.inverse_depth
    assert same.float().mean() > (0.9999 if sweeps == 0 else 0.97)
    assert ((found.cost - expected.cost)[same].abs() < 2e-3).float().mean() > 0.995


def test_finds_the_slanted_surface():
    case = slanted_case(80, 60, slant=0.6)
    # Steps of 4 %, as a coarse plane sweep would leave them.
    start = 1.04 ** (case.inverse_depth.log() / math.log(1.04)).round()
    found = refine_planes(*case[:4], start, torch.zeros(60, 80, 2), focal=case.focal, sweeps=4, holding=0.0)
    inner = (slice(8, -8), slice(14, -14))
    truth = case.inverse_depth[inner]
    before = ((start[inner] - truth).abs() / truth).median()
    after = ((found.inverse_depth[inner] - truth).abs() / truth).median()
    assert after < 0.4 * before
    # The slope is constant on a plane.
    expected = (case.inverse_depth[:, 1:] - case.inverse_depth[:, :-1]).median()
    assert (found.slope[inner][..., 0].median() - expected).abs() < 0.15 * expected.abs()


def test_holding_keeps_depth_near_its_start():
    case = slanted_case()
    start, slopes = disturbed(case, 0.05)
    loose, tight = (
        refine_planes(*case[:4], start, slopes, focal=case.focal, holding=holding).inverse_depth
        for holding in (0.0, 10.0)
    )
    assert (tight - start).abs().mean() < 0.3 * (loose - start).abs().mean()


def test_pixels_without_plane_stay_without():
    case = slanted_case()
    start, slopes = disturbed(case, 0.02)
    found = refine_planes(*case[:4], start, slopes, focal=case.focal)
    assert torch.equal(found.inverse_depth == 0, start == 0)
    assert (found.cost[start == 0] == 0).all()


def test_thread_count_changes_no_bit():
    case = slanted_case(61, 47)
    start, slopes = disturbed(case, 0.02)
    before = _core.thread_count()
    try:
        results = []
        for threads in (1, 2, 5):
            _core.set_thread_count(threads)
            results.append(refine_planes(*case[:4], start, slopes, focal=case.focal))
    finally:
        _core.set_thread_count(before)
    for other in results[1:]:
        assert torch.equal(results[0].inverse_depth, other.inverse_depth)
        assert torch.equal(results[0].slope, other.slope)


def test_errors_name_what_was_expected():
    case = slanted_case()
    start, slopes = disturbed(case, 0.02)
    with pytest.raises(ValueError, match="sweeps, got 99"):
        refine_planes(*case[:4], start, slopes, focal=case.focal, sweeps=99)
    with pytest.raises(ValueError, match="slopes"):
        refine_planes(*case[:4], start, slopes[..., :1], focal=case.focal)
