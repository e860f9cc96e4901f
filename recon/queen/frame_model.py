"""What one frame adds to the state before it, under optimisation."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from recon.queen.births import GrowthStatistics, NewGaussians
from recon.queen.gates import HardConcreteGates
from recon.queen.gradient_difference import dynamic
from recon.queen.latents import PlainResidual, QuantisedLatents, rounded
from recon.queen.rate import rate
from recon.queen.settings import QueenSettings
from recon.splats import Gaussians
from recon.streaming import Latents, Residual, StreamState
from recon.streaming.layout import ATTRIBUTES, attributes

ADAM_EPSILON = 1e-15
"""As in 3DGS, whose gradients are small."""
BITS_PER_KILOBYTE = 8000


class FrameModel:
    """The residuals of one frame: moves of anchors and centres, latents and decoders of the other attributes, gates.

    The state is what players have, so training never sees what they do not, and nothing drifts. Rows that do not take
    part, and rows whose gates close, stay bit-identical.
    """

    def __init__(
        self,
        state: StreamState,
        difference: Float[Tensor, " N"],
        settings: QueenSettings,
        pixel_size: float,
        generator: torch.Generator,
    ) -> None:
        """Start from no change.

        Args:
            state: of the frame before.
            difference: view-space gradient difference of its Gaussians.
            pixel_size: world size of a pixel at the median depth.
        """
        device = difference.device
        self.settings = settings
        self.base = state.gaussians().to(device)
        self._state = state
        self._anchors = None
        if settings.anchors and state.anchors is not None:
            self._anchors = torch.from_numpy(state.anchors).long().to(device)
        self.rows = self._taking_part(difference)
        self._group: Int[Tensor, " R"] | None = None
        self.anchor_numbers: Int[Tensor, " A"] | None = None
        if self._anchors is not None:
            self.anchor_numbers, self._group = self._anchors[self.rows].unique(return_inverse=True)
        self._quantum = position_quantum(state, settings.position_step * pixel_size)
        self._means_rate = settings.means_pixels * pixel_size
        self.moves = torch.zeros(len(self.rows), 3, device=device, requires_grad=True)
        anchor_count = 0 if self.anchor_numbers is None else len(self.anchor_numbers)
        self.anchor_moves = torch.zeros(anchor_count, 3, device=device, requires_grad=True)
        self.attributes: list[QuantisedLatents | PlainResidual] = []
        for one in attributes(state.degree)[1:]:
            chosen = getattr(settings.latents, one.name)
            part: QuantisedLatents | PlainResidual
            if settings.quantised:
                part = QuantisedLatents(one.name, len(self.rows), state, chosen, generator, device)
            else:
                part = PlainResidual(
                    one.name, len(self.rows), state, getattr(settings.plain_rates, one.name), device
                )
            self.attributes.append(part)
        self.gates = None
        if settings.gates.enabled:
            shared = self._group if settings.gates.shared == "anchor" else None
            self.gates = HardConcreteGates(difference[self.rows], shared, settings.gates)
        groups = [{"params": [self.moves, self.anchor_moves], "lr": self._means_rate}]
        for part in self.attributes:
            groups += part.groups
        if self.gates is not None:
            groups += self.gates.groups
        self._optimizer = torch.optim.Adam(groups, eps=ADAM_EPSILON)
        self._pixel_size = pixel_size
        self.new: NewGaussians | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def gaussians(self) -> Gaussians:
        """Return the Gaussians that players will have, connected to what is optimised."""
        gates = None if self.gates is None else self.gates.values()
        everything = gates if self.settings.gates.scope == "all" else None
        tensors = self.base.tensors()
        flat = {name: tensor.reshape(len(tensor), -1)[self.rows] for name, tensor in tensors.items()}
        moved = flat["means"] + self._moves(gates)
        if self._group is not None:
            moved = moved + self._anchor_moves()[self._group]
        flat["means"] = moved
        added: dict[str, list[Tensor]] = {}
        for one, part in zip(attributes(self._state.degree)[1:], self.attributes, strict=True):
            added.setdefault(one.array, []).append(part.residual(everything))
        for array, residuals in added.items():
            flat[array] = flat[array] + torch.cat(residuals, dim=1)
        changed = Gaussians(
            **{
                name: tensor.index_copy(0, self.rows, flat[name].reshape(-1, *tensor.shape[1:]))
                for name, tensor in tensors.items()
            }
        )
        return changed if self.new is None else Gaussians.concatenate([changed, self.new.gaussians])

    def grow(self, statistics: GrowthStatistics, generator: torch.Generator) -> None:
        """Put new Gaussians beside those that the photos pull at most."""
        parents = statistics.strongest(self.settings.births)
        if len(parents):
            self.new = NewGaussians(
                self.gaussians(), parents, self.settings.births, self._pixel_size, generator
            )

    def penalty(self) -> Tensor | float:
        """Return what open gates and the frame's bytes cost."""
        if len(self.rows) == 0:
            return 0.0
        penalty: Tensor | float = 0.0 if self.gates is None else self.gates.penalty()
        if self.settings.kilobyte_cost > 0:
            penalty = penalty + self.settings.kilobyte_cost * self.bits() / BITS_PER_KILOBYTE
        return penalty

    def bits(self) -> Tensor:
        """Return about how many bits the frame takes, decoders and births aside."""
        gates = None if self.gates is None else self.gates.values()
        everything = gates if self.settings.gates.scope == "all" else None
        matrices = [self._move_steps(gates), self._anchor_steps()]
        matrices += [part.steps(everything) for part in self.attributes]
        return torch.stack([rate(matrix) for matrix in matrices if len(matrix)]).sum()

    def step(self, progress: float) -> None:
        """Update from the gradients and clear them."""
        self._optimizer.param_groups[0]["lr"] = self._means_rate * self.settings.means_final**progress
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        if self.gates is not None:
            self.gates.limit()
        if self.new is not None:
            self.new.step(progress)

    @torch.no_grad()
    def residual(self) -> Residual:
        """Return the frame as the stream holds it."""
        residual = Residual()
        gates = None if self.gates is None else self.gates.values()
        everything = gates if self.settings.gates.scope == "all" else None
        rows = self.rows.cpu().numpy().astype(np.int32)
        step = self._state.step(ATTRIBUTES[0])
        residual.gated, residual.positions = _kept(rows, self._moves(gates) / step)
        if self.anchor_numbers is not None:
            numbers = self.anchor_numbers.cpu().numpy().astype(np.int32)
            residual.moved_anchors, residual.anchor_motion = _kept(numbers, self._anchor_moves() / step)
        for one, part in zip(attributes(self._state.degree)[1:], self.attributes, strict=True):
            codes = part.codes(everything)
            kept = codes.any(axis=1)
            if kept.any():
                codes = np.ascontiguousarray(codes[kept], np.int32)
                residual.latents[one.index] = Latents(rows[kept], codes, int(np.abs(codes).max()))
                residual.decoders[one.index] = part.stored_decoder(self._state)
        faded = self.gaussians().opacities[self.rows] <= self.settings.remove_below
        residual.removed = self._removable(rows[faded.cpu().numpy()])
        if self.new is not None:
            residual.births = self.new.births(self._state)
        return residual

    def _taking_part(self, difference: Float[Tensor, " N"]) -> Int[Tensor, " R"]:
        """Return the rows that may change, ascending: dynamic ones, and what shares an anchor with them."""
        if self.settings.deviations <= 0:
            return torch.arange(len(difference), device=difference.device)
        chosen = dynamic(difference, self.settings.deviations)
        if self._anchors is not None:
            alive = torch.zeros(self._state.anchor_count, dtype=torch.bool, device=chosen.device)
            alive[self._anchors[chosen]] = True
            chosen = alive[self._anchors]
        return chosen.nonzero()[:, 0]

    def _removable(self, rows: ndarray) -> ndarray:
        """Return the rows, or none where fewer Gaussians than anchors would be left, which no stream can hold."""
        enough = max(1, self._state.anchor_count)
        return rows if len(self._state) - len(rows) >= enough else rows[:0]

    def _moves(self, gates: Float[Tensor, "R 1"] | None) -> Float[Tensor, "R 3"]:
        return self._quantum * rounded(self._move_steps(gates))

    def _anchor_moves(self) -> Float[Tensor, "A 3"]:
        return self._quantum * rounded(self._anchor_steps())

    def _move_steps(self, gates: Float[Tensor, "R 1"] | None) -> Float[Tensor, "R 3"]:
        return (self.moves if gates is None else self.moves * gates) / self._quantum

    def _anchor_steps(self) -> Float[Tensor, "A 3"]:
        return self.anchor_moves / self._quantum


def position_quantum(state: StreamState, wanted: float) -> float:
    """Return the step of moves: the grid's step times the power of two that comes nearest to `wanted`, at least one."""
    step = state.step(ATTRIBUTES[0])
    return step * 2.0 ** max(0, round(float(np.log2(max(wanted, step) / step))))


def _kept(numbers: ndarray, units: Tensor) -> tuple[ndarray, ndarray]:
    """Return those whose units are not all zero, with these."""
    whole = units.round().int().cpu().numpy()
    kept = whole.any(axis=1)
    return numbers[kept], np.ascontiguousarray(whole[kept])
