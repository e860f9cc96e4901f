"""The CUDA kernels of the small ops against the CPU kernels: on a GPU where there is one, else emulated."""

import pytest
import torch

from recon import ops


@pytest.mark.parametrize("shape", [(1, 1, 3), (37, 11, 3), (70, 131, 1), (45, 59, 3), (33, 20, 4)])
@pytest.mark.parametrize("masked", [False, True])
def test_l1_ssim(shape, masked, cuda_kernels):
    image = torch.rand(shape)
    target = (image + 0.1 * torch.randn(shape)).clamp(0, 1)
    mask = torch.rand(shape[:2]) if masked else None

    def run(device):
        x = image.to(device).clone().requires_grad_()
        l1, ssim = ops.l1_ssim(x, target.to(device), None if mask is None else mask.to(device))
        (0.8 * l1 - 0.2 * ssim).backward()
        return l1.detach().cpu(), ssim.detach().cpu(), x.grad.cpu()

    expected = run("cpu")
    with cuda_kernels() as device:
        got = run(device)
    torch.testing.assert_close(got[0], expected[0], rtol=2e-6, atol=0)
    torch.testing.assert_close(got[1], expected[1], rtol=2e-6, atol=1e-7)
    assert (got[2] - expected[2]).norm() < 2e-5 * expected[2].norm()


@pytest.mark.parametrize("shape", [(1,), (1001,), (333, 3), (70, 15, 3)])
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("scalars", ["numbers", "tensors"])
def test_adam_step(shape, sparse, scalars, cuda_kernels):
    start = [torch.randn(shape), torch.randn(shape), torch.randn(shape), torch.rand(shape)]
    visible = torch.rand(shape[0]) < 0.5 if sparse else None

    def run(device):
        arrays = [array.to(device).clone() for array in start]
        rates = {"step": 5, "learning_rate": 0.02}
        if scalars == "tensors":
            rates = {name: torch.tensor(float(value), device=device) for name, value in rates.items()}
        ops.adam_step(*arrays, **rates, visible=None if visible is None else visible.to(device))
        return [array.cpu() for array in arrays]

    expected = run("cpu")
    with cuda_kernels() as device:
        got = run(device)
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(("count", "k"), [(2, 1), (33, 3), (1100, 3), (1100, 16), (300, 32)])
@pytest.mark.parametrize("kind", ["uniform", "clustered", "equal"])
def test_nearest_neighbors(count, k, kind, cuda_kernels):
    points = torch.rand(count, 3)
    if kind == "clustered":
        points = torch.randn(5, 3)[torch.randint(5, (count,))] + 1e-3 * points
        points[0] *= 1e5
    if kind == "equal":
        points = torch.ones(count, 3)
    expected_distances, expected_indices = ops.nearest_neighbors(points, k)
    with cuda_kernels() as device:
        distances, indices = ops.nearest_neighbors(points.to(device), k)
    torch.testing.assert_close(distances.cpu(), expected_distances, rtol=1e-6, atol=1e-9)
    # Distances that differ only by rounding may come in another order.
    different = indices.cpu() != expected_indices
    assert different.float().mean() < 0.01
    if kind == "equal":
        assert not different.any()
