"""The CUDA kernels of the stereo ops against the CPU kernels: on a GPU where there is one, else emulated."""

import pytest
import torch

from recon import ops
from recon.ops.semi_global_matching import Matching
from tests.ops.sweep_cases import slanted_case


def on(device, tensors):
    return [tensor.to(device) if isinstance(tensor, torch.Tensor) else tensor for tensor in tensors]


@pytest.mark.parametrize("with_depths", [False, True])
def test_plane_sweep(with_depths, cuda_kernels):
    case = slanted_case()
    inverse_depths = torch.linspace(0.12, 0.5, 16)

    def run(device):
        depths = case.source_depths.to(device) if with_depths else None
        return ops.plane_sweep(*on(device, case[:4]), inverse_depths.to(device), source_depths=depths).cpu()

    expected = run("cpu").int()
    with cuda_kernels() as device:
        difference = (run(device).int() - expected).abs()
    # Costs are rounded to 1 / 200, and a point on an edge may be seen by one and not by the other.
    assert (difference > 1).float().mean() < 2e-3
    assert (difference > 0).float().mean() < 2e-2
    assert expected.unique().numel() > 100


@pytest.mark.parametrize(
    ("height", "width", "planes"), [(21, 34, 16), (13, 9, 144), (1, 40, 32), (30, 1, 32)]
)
def test_semi_global_matching_is_bit_equal(height, width, planes, cuda_kernels):
    volume = torch.randint(0, 256, (height, width, planes), dtype=torch.uint8)
    volume[:, :, planes // 3] //= 4
    gray = torch.randint(0, 256, (height, width), dtype=torch.uint8)

    def run(device):
        matching: Matching = ops.semi_global_matching(volume.to(device), gray.to(device))
        return matching.index.cpu(), matching.best.cpu(), matching.runner_up.cpu()

    expected = run("cpu")
    with cuda_kernels() as device:
        got = run(device)
    torch.testing.assert_close(got[0], expected[0], rtol=0, atol=1e-5)
    assert torch.equal(got[1], expected[1])
    assert torch.equal(got[2], expected[2])


def test_refine_planes(cuda_kernels):
    case = slanted_case()
    start = case.inverse_depth * (1 + 0.01 * torch.randn(case.inverse_depth.shape))
    start[:4, :5] = 0.0
    slopes = torch.zeros(*start.shape, 2)

    def run(device):
        planes = ops.refine_planes(
            *on(device, case[:4]), start.to(device), slopes.to(device), focal=case.focal
        )
        return planes.inverse_depth.cpu(), planes.cost.cpu()

    expected = run("cpu")
    with cuda_kernels() as device:
        got = run(device)
    # A plane that wins by a hair may lose under another rounding: nearly all pixels agree, the others are as good.
    apart = (got[0] - expected[0]).abs() > 1e-4 * expected[0]
    assert apart.float().mean() < 0.05
    assert abs(float(got[1].mean() - expected[1].mean())) < 1e-3
    assert torch.equal(got[0][:4, :5], torch.zeros(4, 5))
