"""A small convolutional generator whose outputs cannot vary independently between neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

FREQUENCIES = 10
"""Frequencies of the sine and cosine code of the view's index."""
MULTIPLIERS = (4, 4, 4, 8, 8, 8, 16)
"""Channels, in units of the base, from the finest stage to coarser ones; the last one holds for all further stages."""
SLOPE = 0.2
DEVIATION = 0.02
"""The numbers above are CoherentGS's (released code, `implicit decoder`)."""


@dataclass(frozen=True)
class DecoderSettings:
    """The network that predicts one quantity, and how it learns.

    The step size goes up and down in triangles, each half as high as the one before.
    """

    enabled: bool = True
    """Predict by a network; off, each Gaussian has a value of its own (the paper's ablation)."""
    channels: int = 0
    """Base number of channels, a quarter of the finest stage's; 0 for the paper's choice by the number of views."""
    stride: int = 1
    """The network computes every stride-th value, and those between are interpolated; larger is faster and smoother."""
    rate: float = 1e-4
    """Highest step size of AdamW, at the first triangle's top."""
    base_rate: float = 1e-6
    """Lowest step size."""
    rise: float = 0.077
    """Fraction of the training in which the step size rises, and then as long to fall."""

    def learning_rate(self, progress: float) -> float:
        """Return the step size at a fraction `progress` of the training ("triangular2", Smith 2017)."""
        cycle, place = divmod(progress / (2 * self.rise), 1.0)
        triangle = 1 - abs(2 * place - 1)
        return self.base_rate + (self.rate - self.base_rate) * triangle * 0.5**cycle


class ImplicitDecoder(nn.Module):
    """Map a view's fixed code to `layers` maps of a picture's size.

    1x1 convolution of the code; at the coarsest size two channels of coordinates join; then, up to full size, double
    (bilinear, corners aligned), reflect a row or column where the next size is odd, 3x3 convolution, leaky ReLU; a last
    3x3 convolution gives the maps.
    """

    def __init__(self, size: tuple[int, int], channels: int, layers: int, generator: torch.Generator) -> None:
        """Draw the weights from N(0, 0.02), those of the last convolution apart, which start at zero.

        So every field starts at zero, and depths where the prior has them. In the paper's network, of eight stages,
        such weights shrink the output to nearly that by themselves; in smaller ones they would not.

        Args:
            size: height and width of the maps.
            channels: base number of channels.
        """
        super().__init__()
        self.sizes = halved_sizes(size)
        widths = [
            channels * MULTIPLIERS[min(stage, len(MULTIPLIERS) - 1)]
            for stage in reversed(range(len(self.sizes)))
        ]
        self.first = nn.utils.skip_init(nn.Conv2d, 2 * FREQUENCIES, widths[0], 1)
        inputs = [widths[0] + 2, *widths[1:]]
        self.stages = nn.ModuleList(
            nn.utils.skip_init(nn.Conv2d, inputs[stage], widths[stage + 1], 3, padding=1)
            for stage in range(len(self.sizes) - 1)
        )
        self.last = nn.utils.skip_init(nn.Conv2d, inputs[-1], layers, 3, padding=1)
        for name, parameter in self.named_parameters():
            with torch.no_grad():
                if parameter.ndim > 1 and name != "last.weight":
                    parameter.copy_(torch.randn(parameter.shape, generator=generator) * DEVIATION)
                else:
                    parameter.zero_()

    def forward(self, codes: Float[Tensor, "V 20"]) -> Float[Tensor, "V C H W"]:
        maps = F.leaky_relu(self.first(codes[:, :, None, None]), SLOPE)
        height, width = self.sizes[0]
        maps = torch.cat(
            [
                maps.expand(-1, -1, height, width),
                coordinates(height, width, maps).expand(len(codes), -1, -1, -1),
            ],
            dim=1,
        )
        for (height, width), stage in zip(self.sizes[1:], self.stages, strict=True):
            maps = F.interpolate(maps, scale_factor=2, mode="bilinear", align_corners=True)
            missing = (0, width - maps.shape[3], 0, height - maps.shape[2])
            if any(missing):
                maps = F.pad(maps, missing, mode="reflect")
            maps = F.leaky_relu(stage(maps), SLOPE)
        return self.last(maps)


def view_codes(count: int) -> Float[Tensor, "V 20"]:
    """Return a fixed code per view: sines and cosines of its index, spread over [0, 1]."""
    place = torch.linspace(0, 1, count)[:, None]
    angles = place * 2.0 ** torch.arange(FREQUENCIES)[None] * torch.pi
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def halved_sizes(size: tuple[int, int]) -> list[tuple[int, int]]:
    """Return the sizes from the coarsest (2 or 3 cells on the shorter side) to the full one, each about the double."""
    sizes = [size]
    while min(sizes[0]) >= 4:
        sizes.insert(0, (sizes[0][0] // 2, sizes[0][1] // 2))
    return sizes


def coordinates(height: int, width: int, like: Tensor) -> Float[Tensor, "1 2 h w"]:
    """Return two channels with the position in [-1, 1]."""
    rows = torch.linspace(-1, 1, height, device=like.device, dtype=like.dtype)
    columns = torch.linspace(-1, 1, width, device=like.device, dtype=like.dtype)
    return torch.stack(torch.meshgrid(rows, columns, indexing="ij"))[None]
