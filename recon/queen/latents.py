"""Residuals of an attribute as whole-numbered latents and a shared linear decoder."""

from __future__ import annotations

import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from recon.queen.settings import LatentSettings
from recon.streaming import Decoder, StreamState, decoder_of
from recon.streaming.layout import attribute


class QuantisedLatents:
    """Latents and decoder of one attribute under optimisation.

    Forward, latents are rounded, decoded, and rounded to the stream's grid, as every player does; backward, rounding
    is the identity. There is no bias, so that Gaussians whose latents are zero stay as they are.

    Source: QUEEN (Girish et al. 2024), section 3.2.
    """

    def __init__(
        self,
        name: str,
        rows: int,
        state: StreamState,
        settings: LatentSettings,
        generator: torch.Generator,
        device: torch.device,
    ) -> None:
        """Start with zero latents, and with the decoder of the frame before where there is one."""
        self.name = name
        self.settings = settings
        self._of = attribute(name)
        self._step = state.step(self._of)
        self.latents = torch.zeros(rows, settings.count, device=device, requires_grad=True)
        before = state.decoders.get(self._of.index)
        if before is not None and before.latents == settings.count:
            matrix = torch.as_tensor(before.entries, dtype=torch.float32) * (self._step * 2.0**-before.shift)
        else:
            shape = (self._of.width(state.degree), settings.count)
            matrix = settings.decoder_spread * torch.randn(shape, generator=generator)
        self.decoder = matrix.to(device).requires_grad_(True)

    @property
    def groups(self) -> list[dict]:
        """What is optimised, for torch's optimisers."""
        return [
            {"params": [self.latents], "lr": self.settings.rate},
            {"params": [self.decoder], "lr": self.settings.decoder_rate},
        ]

    def residual(self, gates: Float[Tensor, "R 1"] | None) -> Float[Tensor, "R width"]:
        """Return what is added to the attribute."""
        decoded = rounded(self.steps(gates)) @ self.decoder.T
        return self._step * rounded(decoded / self._step)

    def steps(self, gates: Float[Tensor, "R 1"] | None) -> Float[Tensor, "R L"]:
        """Return the latents before they are rounded."""
        return self.latents if gates is None else self.latents * gates

    def codes(self, gates: Float[Tensor, "R 1"] | None) -> ndarray:
        """Return the whole-numbered latents [R, L]."""
        return self.steps(gates).detach().round().int().cpu().numpy()

    def stored_decoder(self, state: StreamState) -> Decoder:
        """Return the decoder as the stream holds it."""
        return decoder_of(self.decoder.detach().cpu().numpy(), state, self.name)


class PlainResidual:
    """The residual of one attribute as it is, on the stream's grid: what quantisation is compared with."""

    def __init__(self, name: str, rows: int, state: StreamState, rate: float, device: torch.device) -> None:
        self.name = name
        self._of = attribute(name)
        self._step = state.step(self._of)
        self._rate = rate
        self.values = torch.zeros(rows, self._of.width(state.degree), device=device, requires_grad=True)

    @property
    def groups(self) -> list[dict]:
        return [{"params": [self.values], "lr": self._rate}]

    def residual(self, gates: Float[Tensor, "R 1"] | None) -> Float[Tensor, "R width"]:
        return self._step * rounded(self.steps(gates))

    def steps(self, gates: Float[Tensor, "R 1"] | None) -> Float[Tensor, "R width"]:
        """Return the residual in steps of the grid, before it is rounded."""
        return (self.values if gates is None else self.values * gates) / self._step

    def codes(self, gates: Float[Tensor, "R 1"] | None) -> ndarray:
        return self.steps(gates).detach().round().int().cpu().numpy()

    def stored_decoder(self, state: StreamState) -> Decoder:
        """Return the identity: a latent is a step of the grid."""
        width = self._of.width(state.degree)
        return decoder_of(self._step * torch.eye(width).numpy(), state, self.name)


def rounded(values: Tensor) -> Tensor:
    """Round to whole numbers; the gradient passes as if nothing were done (straight-through)."""
    return values + (values.round() - values).detach()
