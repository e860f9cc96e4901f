"""One optimiser step, fused: every array is read and written once."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from recon.ops import native
from recon.ops.shapes import Shapes


@torch.no_grad()
def adam_step(
    parameter: Float[Tensor, "N ..."],
    gradient: Float[Tensor, "N ..."],
    first_moment: Float[Tensor, "N ..."],
    second_moment: Float[Tensor, "N ..."],
    *,
    step: int | Float[Tensor, ""],
    learning_rate: float | Float[Tensor, ""],
    rest_learning_rate: float | Float[Tensor, ""] | None = None,
    leading: int | None = None,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-15,
    visible: Bool[Tensor, " N"] | None = None,
) -> None:
    """Take one Adam step in place.

    Args:
        parameter: [N, ...] changed in place, like both moments; these three must be contiguous.
        gradient: [N, ...].
        first_moment: [N, ...] running mean of the gradient; zeros before the first step.
        second_moment: [N, ...] running mean of the squared gradient; zeros before the first step.
        step: the number of this step, counted from 1. A tensor on the parameter's device lets a captured
            CUDA graph go on counting.
        learning_rate: likewise a number or a tensor.
        rest_learning_rate: what all but the first `leading` values of a row learn at, as the view-dependent colour
            coefficients do after the constant ones; `learning_rate` where not given.
        leading: how many values of a row learn at `learning_rate`; all where not given.
        beta1, beta2: decay of the running means, in (0, 1).
        epsilon: added to the denominator.
        visible: [N] rows where it is false are left untouched, moments included (sparse Adam).

    Raises:
        TypeError, ValueError: if a dtype, shape, device or memory layout does not fit.

    Source:
        Kingma and Ba, "Adam: a method for stochastic optimization", 2015, algorithm 1. Skipping invisible
        rows: Mallick et al., "Taming 3DGS", 2024.
    """
    if not (0 < beta1 < 1 and 0 < beta2 < 1):
        raise ValueError(f"adam_step: expected beta1 and beta2 in (0, 1), got {beta1} and {beta2}")
    shapes = Shapes("adam_step")
    layout = "N" + "".join(f" {size}" for size in parameter.shape[1:])
    arrays = {"parameter": parameter, "first_moment": first_moment, "second_moment": second_moment}
    for name, tensor in arrays.items():
        shapes.check(name, tensor, layout)
        if not tensor.is_contiguous():
            raise ValueError(f"adam_step: expected a contiguous {name}, since it is changed in place")
    shapes.check("gradient", gradient, layout)
    if visible is not None:
        shapes.check("visible", visible, "N", torch.bool)
        visible = visible.contiguous().view(torch.uint8)
    if parameter.numel() == 0:
        return
    rows = (len(parameter), parameter[0].numel())
    native.call(
        "adam_step",
        parameter.detach().view(rows),
        gradient.detach().reshape(rows).contiguous(),
        first_moment.detach().view(rows),
        second_moment.detach().view(rows),
        visible,
        _scalar(step, parameter.device),
        _scalar(learning_rate, parameter.device),
        _scalar(learning_rate if rest_learning_rate is None else rest_learning_rate, parameter.device),
        rows[1] if leading is None else leading,
        beta1,
        beta2,
        epsilon,
    )


def _scalar(value: float | Tensor, device: torch.device) -> float | Tensor:
    """Return a plain number, or for the CUDA kernels the tensor as it is, so that nothing waits for its value."""
    if isinstance(value, Tensor) and device.type != "cpu":
        return value.detach().to(device, torch.float32).reshape(())
    return float(value)
