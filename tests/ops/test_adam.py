"""The fused optimiser step against its twin and torch.optim.Adam."""

import pytest
import torch

from recon.ops import adam_step, reference


def arrays(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    parameter, gradient, first = (torch.randn(*shape, generator=generator) for _ in range(3))
    return parameter, gradient, first, torch.rand(*shape, generator=generator)


@pytest.mark.parametrize("shape", [(1,), (1000,), (333, 3), (70, 15, 3), (3, 40000)])
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("instruction_set", ["baseline", "avx2", "avx512"])
def test_equals_twin(shape, sparse, instruction_set, use_instruction_set):
    use_instruction_set(instruction_set)
    visible = torch.rand(shape[0], generator=torch.Generator().manual_seed(3)) < 0.6 if sparse else None
    ours, exact = list(arrays(*shape)), [array.double() for array in arrays(*shape)]
    options = {"step": 7, "learning_rate": 0.01, "visible": visible}
    adam_step(*ours, **options)
    reference.adam_step(*exact, **options)
    for got, expected in zip(ours, exact, strict=True):
        torch.testing.assert_close(got.double(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("sparse", [False, True])
def test_rows_may_learn_at_two_rates(sparse):
    visible = torch.arange(500) % 5 != 0 if sparse else None
    ours, exact = list(arrays(500, 4, 3)), [array.double() for array in arrays(500, 4, 3)]
    options = {"step": 3, "learning_rate": 0.1, "rest_learning_rate": 0.002, "leading": 3, "visible": visible}
    adam_step(*ours, **options)
    reference.adam_step(*exact, **options)
    for got, expected in zip(ours, exact, strict=True):
        torch.testing.assert_close(got.double(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("step_as_tensor", [False, True])
def test_follows_torch_optimiser(step_as_tensor):
    start, gradients = torch.randn(50, 4), torch.randn(30, 50, 4)
    theirs = torch.nn.Parameter(start.clone())
    optimiser = torch.optim.Adam([theirs], lr=0.02, betas=(0.8, 0.99), eps=1e-8)
    ours, first, second = start.clone(), torch.zeros(50, 4), torch.zeros(50, 4)
    for step, gradient in enumerate(gradients, start=1):
        theirs.grad = gradient
        optimiser.step()
        number = torch.tensor(float(step)) if step_as_tensor else step
        adam_step(
            ours,
            gradient,
            first,
            second,
            step=number,
            learning_rate=0.02,
            beta1=0.8,
            beta2=0.99,
            epsilon=1e-8,
        )
    torch.testing.assert_close(ours, theirs.detach(), rtol=1e-5, atol=1e-6)


def test_invisible_rows_keep_every_bit():
    before = arrays(200, 3)
    after = [array.clone() for array in before]
    visible = torch.arange(200) % 3 == 0
    adam_step(*after, step=1, learning_rate=0.1, visible=visible)
    for old, new in zip(before, after, strict=True):
        assert torch.equal(old[~visible], new[~visible])
    assert not (before[0][visible] == after[0][visible]).any()


def test_steps_a_leaf_that_requires_gradient():
    parameter, gradient, first, second = arrays(10, 3)
    parameter.requires_grad_()
    before = parameter.detach().clone()
    adam_step(parameter, gradient, first, second, step=1, learning_rate=0.1)
    assert not torch.equal(before, parameter.detach())


def test_no_rows_is_fine():
    adam_step(*arrays(0, 3), step=1, learning_rate=0.1)


def test_errors_say_what_was_expected():
    parameter, gradient, first, second = arrays(6, 4)
    with pytest.raises(ValueError, match=r"expected gradient of shape \[N 4\] \(with N=6\), got \[5, 4\]"):
        adam_step(parameter, gradient[:5], first, second, step=1, learning_rate=0.1)
    with pytest.raises(ValueError, match="contiguous parameter"):
        adam_step(
            parameter[:, ::2], gradient[:, ::2], first[:, ::2], second[:, ::2], step=1, learning_rate=0.1
        )
    with pytest.raises(ValueError, match=r"beta1 and beta2 in \(0, 1\)"):
        adam_step(parameter, gradient, first, second, step=1, learning_rate=0.1, beta1=1.0)
