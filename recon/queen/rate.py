"""The rate: about how many bits a frame's whole numbers will take, while they are still being trained."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from recon.queen.latents import rounded


def rate(values: Float[Tensor, "R C"]) -> Tensor:
    """Return about how many bits a matrix takes once it is rounded: a mask of its rows, and those that are not zero.

    Backward, rounding is the identity, as everywhere in the encoder. What is rounded to zero has no bits to lose, so
    nothing pulls at it: latents can form while their decoder is still weak, and only what they became is weighed.

    Args:
        values: in steps, before they are rounded.
    """
    held = values[values.detach().abs().amax(dim=1) > 0.5]
    magnitudes = rounded(held).abs()
    return code_length(magnitudes.sum(dim=0), magnitudes.amax(dim=1).clamp(max=1).sum(), len(values))


def code_length(sums: Float[Tensor, " C"], filled: Float[Tensor, ""], rows: int) -> Tensor:
    """Return the bits of a mask of filled rows and of their numbers, each column with the table that suits it best.

    A column's numbers are taken to follow P(k) ~ t^|k|, the discrete Laplace distribution, which residuals come close
    to. Its best t depends on nothing but their mean magnitude m, and a number then takes

        h(m) = (asinh m + m asinh(1/m)) / ln 2

    bits. A row of ones and a row of zeros are counted beside the matrix: the first number would be infinitely dear.

    Args:
        sums: of the magnitudes in each column.
        filled: rows that hold any number but zero.
        rows: of the matrix.

    Source: rate terms from a distribution that is fitted to the quantised latents are those of learned image
    compression (Balle et al. 2018, section 3). QUEEN (Girish et al. 2024, appendix) offers the latents' standard
    deviation for it.
    """
    ones, zeros = filled + 1, rows - filled + 1
    mask = (rows + 2) * math.log(rows + 2) - torch.xlogy(ones, ones) - torch.xlogy(zeros, zeros)
    mean = (sums + 1) / ones
    numbers = ones * (torch.asinh(mean) + mean * torch.asinh(1 / mean)).sum()
    return (mask + numbers) / math.log(2)
