"""The torch twin of `recon.ops.adam_step`."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor


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
    """Take one Adam step in place (Kingma and Ba 2015, algorithm 1), on the visible rows."""
    rows = slice(None) if visible is None else visible
    first = beta1 * first_moment[rows] + (1 - beta1) * gradient[rows]
    second = beta2 * second_moment[rows] + (1 - beta2) * gradient[rows] ** 2
    unbiased_first = first / (1 - beta1 ** float(step))
    unbiased_second = second / (1 - beta2 ** float(step))
    rates = torch.full_like(parameter[:1], float(learning_rate))
    if leading is not None and rest_learning_rate is not None:
        rates.view(-1)[leading:] = float(rest_learning_rate)
    parameter[rows] -= rates * unbiased_first / (unbiased_second.sqrt() + epsilon)
    first_moment[rows] = first
    second_moment[rows] = second
