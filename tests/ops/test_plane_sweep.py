"""The plane-sweep cost volume against its twin and against geometry."""

import pytest
import torch

from recon import _core
from recon.ops import pack_colors, plane_sweep, reference
from recon.ops.reference.plane_sweep import unpack_colors
from tests.ops.sweep_cases import slanted_case

PLANES = torch.linspace(0.12, 0.5, 32)


@pytest.mark.parametrize("second_pass", [False, True])
@pytest.mark.parametrize("lowest_weight", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("instruction_set", ["baseline", "avx2", "avx512"])
def test_equals_twin(second_pass, lowest_weight, instruction_set, use_instruction_set):
    use_instruction_set(instruction_set)
    case = slanted_case()
    arguments = (*case[:4], PLANES)
    options = {"source_depths": case.source_depths if second_pass else None, "lowest_weight": lowest_weight}
    volume = plane_sweep(*arguments, **options).int()
    expected = reference.plane_sweep(*arguments, **options).int()
    difference = (volume - expected).abs()
    # Rounding to bytes may fall either way; a sample exactly on a threshold (edge of a source, 1 % of depth) too.
    assert (difference <= 1).float().mean() > 0.9995
    assert difference.float().mean() < 0.02


@pytest.mark.parametrize(("width", "height"), [(2, 2), (5, 40), (64, 3), (17, 33), (70, 65)])
def test_equals_twin_at_any_size(width, height):
    small = slanted_case(max(width, 20), max(height, 20))
    arguments = (small.reference[:height, :width].contiguous(), *small[1:4], PLANES[:16])
    difference = (plane_sweep(*arguments).int() - reference.plane_sweep(*arguments).int()).abs()
    assert (difference <= 1).float().mean() > 0.999


def test_true_plane_is_cheapest():
    case = slanted_case(96, 72, slant=0.0)
    volume = plane_sweep(*case[:4], PLANES).float()
    index = volume.argmin(dim=-1)
    inner = (slice(8, -8), slice(14, -14))
    error = (PLANES[index] - case.inverse_depth)[inner].abs()
    assert (error <= PLANES[1] - PLANES[0]).float().mean() > 0.97


def test_hidden_source_is_left_out():
    case = slanted_case()
    hidden = torch.full_like(case.source_depths, 0.5)
    volume = plane_sweep(*case[:4], PLANES, source_depths=hidden)
    assert (volume == 180).all()  # 200 * 0.9: no source is left


def test_free_space_raises_the_cost():
    case = slanted_case(slant=0.0)
    plain = plane_sweep(*case[:4], PLANES).int()
    behind = plane_sweep(*case[:4], PLANES, source_depths=torch.full_like(case.source_depths, 100.0)).int()
    seen = (plain != 180) & (plain < 230)
    assert ((behind - plain)[seen] - 20).abs().max() <= 1


def test_agreement_lowers_the_cost():
    case = slanted_case(slant=0.0)
    # Each source's third projected component is its depth over the reference's: with planes at inverse depth w, a
    # point lies at depth z / w in the source. One true depth map serves only the true plane, 1/4.
    planes = torch.full((16,), 0.25)
    true_depths = torch.where(case.source_depths > 0, 4.0, 0.0)
    frontal = case.projections.clone()
    frontal[:, 2] = torch.tensor([0.0, 0.0, 1.0, 0.0])
    arguments = (case.reference, case.sources, case.source_sizes, frontal, planes)
    with_depths = plane_sweep(*arguments, source_depths=true_depths.contiguous()).int()
    without = plane_sweep(*arguments).int()
    gain = without - with_depths
    assert gain.max() == 20 and (gain >= 0).all() and (gain == 20).float().mean() > 0.3


def test_thread_count_changes_no_bit():
    case = slanted_case(90, 131)
    before = _core.thread_count()
    try:
        volumes = []
        for threads in (1, 2, 5):
            _core.set_thread_count(threads)
            volumes.append(plane_sweep(*case[:4], PLANES, source_depths=case.source_depths))
    finally:
        _core.set_thread_count(before)
    assert torch.equal(volumes[0], volumes[1]) and torch.equal(volumes[0], volumes[2])


def test_packing_keeps_ten_bits_and_the_flag():
    image = torch.rand(7, 9, 3)
    valid = torch.rand(7, 9) > 0.5
    colors, flags = unpack_colors(pack_colors(image, valid))
    assert (colors - image).abs().max() <= 0.5 / 1023 + 1e-6
    assert torch.equal(flags, valid)


def test_errors_name_what_was_expected():
    case = slanted_case()
    with pytest.raises(ValueError, match="multiple of 16, got 20"):
        plane_sweep(*case[:4], torch.linspace(0.1, 0.5, 20))
    with pytest.raises(ValueError, match="positive inverse_depths"):
        plane_sweep(*case[:4], torch.linspace(0.0, 0.5, 16))
    with pytest.raises(ValueError, match="source_sizes within"):
        plane_sweep(case.reference, case.sources, case.source_sizes + 50, case.projections, PLANES)
    with pytest.raises(ValueError, match="projections"):
        plane_sweep(*case[:3], case.projections[:1], PLANES)
    with pytest.raises(TypeError, match="reference"):
        plane_sweep(case.reference.float(), *case[1:4], PLANES)
