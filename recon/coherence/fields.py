"""One number per cell of every photo, in [-1, 1]: predicted by a decoder, or free."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from recon import ops
from recon.coherence.decoder import DecoderSettings, ImplicitDecoder, view_codes
from recon.coherence.grid import PixelGrid

WEIGHT_DECAY = 0.01
"""AdamW's usual decay of the weights (Loshchilov & Hutter 2019), which CoherentGS keeps."""


class Field(Protocol):
    """Values under optimisation on the cells of the photos."""

    def values(self) -> list[Float[Tensor, "h w"]]:
        """Return one map per photo; gradients flow to the parameters."""
        ...

    def step(self, progress: float) -> None:
        """Update the parameters from their gradients and clear those."""
        ...

    def state(self) -> dict[str, Tensor]: ...

    def load_state(self, state: dict[str, Tensor]) -> None: ...


class DecodedField:
    """Maps from one decoder for all photos; each depth layer has a map of its own.

    tanh bounds the values. A cell takes the map of its layer: sum_c S_c tanh(out_c) / sum_c S_c with one-hot S.
    """

    def __init__(
        self,
        grids: Sequence[PixelGrid],
        settings: DecoderSettings,
        channels: int,
        layers: int,
        generator: torch.Generator,
    ) -> None:
        self.settings = settings
        self._grids = list(grids)
        self._codes = view_codes(len(grids)).to(grids[0].depth.device)
        self._sizes = [
            tuple(max(2, -(-side // settings.stride)) for side in grid.size) for grid in self._grids
        ]
        largest = (max(size[0] for size in self._sizes), max(size[1] for size in self._sizes))
        self.decoder = ImplicitDecoder(largest, channels, layers, generator).to(grids[0].depth.device)
        self._parameters = dict(self.decoder.named_parameters())
        self._moments = {
            name: [torch.zeros_like(p, requires_grad=False) for _ in range(2)]
            for name, p in self._parameters.items()
        }
        self.steps = 0

    def values(self) -> list[Float[Tensor, "h w"]]:
        maps = self.decoder(self._codes)
        return [self._of_view(index, maps[index : index + 1]) for index in range(len(self._grids))]

    def _of_view(self, index: int, maps: Float[Tensor, "1 C H W"]) -> Float[Tensor, "h w"]:
        grid = self._grids[index]
        if tuple(maps.shape[-2:]) != grid.size:
            # Photos of other sizes and strides: the map is a smooth function on the picture, so it is just resampled.
            maps = F.interpolate(maps, grid.size, mode="bilinear", align_corners=True)
        return maps[0].gather(0, grid.layers[None])[0].tanh()

    @torch.no_grad()
    def step(self, progress: float) -> None:
        rate = self.settings.learning_rate(progress)
        self.steps += 1
        for name, parameter in self._parameters.items():
            if parameter.grad is None:
                continue
            parameter.mul_(1 - rate * WEIGHT_DECAY)
            first, second = self._moments[name]
            ops.adam_step(
                parameter,
                parameter.grad,
                first,
                second,
                step=self.steps,
                learning_rate=rate,
                epsilon=1e-8,
            )
            parameter.grad = None

    def state(self) -> dict[str, Tensor]:
        state = {name: parameter.detach() for name, parameter in self._parameters.items()}
        for name, (first, second) in self._moments.items():
            state[f"{name}.first_moment"] = first
            state[f"{name}.second_moment"] = second
        state["steps"] = torch.tensor(self.steps)
        return state

    @torch.no_grad()
    def load_state(self, state: dict[str, Tensor]) -> None:
        for name, parameter in self._parameters.items():
            parameter.copy_(state[name])
            self._moments[name][0].copy_(state[f"{name}.first_moment"])
            self._moments[name][1].copy_(state[f"{name}.second_moment"])
        self.steps = int(state["steps"])


class FreeField:
    """A value of its own for every cell: what the decoder is there to avoid.

    The values are not bounded.
    """

    def __init__(self, grids: Sequence[PixelGrid], rate: float, final: float = 1.0) -> None:
        """Start at zero.

        Args:
            rate: step size of Adam at the start, in the field's unit.
            final: factor that it has decayed to at the end, exponentially.
        """
        self.rate, self.final = rate, final
        self._shapes = [grid.size for grid in grids]
        count = sum(height * width for height, width in self._shapes)
        self.leaf = torch.zeros(count, device=grids[0].depth.device, requires_grad=True)
        self._first, self._second = (torch.zeros_like(self.leaf, requires_grad=False) for _ in range(2))
        self.steps = 0

    def values(self) -> list[Float[Tensor, "h w"]]:
        parts = self.leaf.split([height * width for height, width in self._shapes])
        return [part.view(shape) for part, shape in zip(parts, self._shapes, strict=True)]

    @torch.no_grad()
    def step(self, progress: float) -> None:
        self.steps += 1
        if self.leaf.grad is None:
            return
        ops.adam_step(
            self.leaf.detach(),
            self.leaf.grad,
            self._first,
            self._second,
            step=self.steps,
            learning_rate=self.rate * self.final**progress,
        )
        self.leaf.grad = None

    def state(self) -> dict[str, Tensor]:
        return {
            "values": self.leaf.detach(),
            "first_moment": self._first,
            "second_moment": self._second,
            "steps": torch.tensor(self.steps),
        }

    @torch.no_grad()
    def load_state(self, state: dict[str, Tensor]) -> None:
        self.leaf.copy_(state["values"])
        self._first.copy_(state["first_moment"])
        self._second.copy_(state["second_moment"])
        self.steps = int(state["steps"])
