"""The state that a stream's frames move on: Gaussians whose numbers all lie on grids.

Every number is n * 2^grid with whole n, |n| < 2^23, and one grid for each attribute. Such numbers are exact in float32,
and so are their sums, so a state is the same to the bit on every machine, and a keyframe can hold it without loss.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32, Int8, Int16, Int32, Int64
from numpy import ndarray

from recon.errors import ReconError
from recon.ops.native import core
from recon.streaming.layout import (
    ANCHOR_COLUMN,
    ARRAYS,
    ATTRIBUTES,
    CHECKSUM_COLUMNS,
    GRID_RANGE,
    MAX_ROWS,
    UNITS,
    Attribute,
    attribute,
    attributes,
)

if TYPE_CHECKING:
    from recon.splats.gaussians import Gaussians

GRIDS = {"log_scales": -10, "quaternions": -13, "opacity_logits": -8, "sh_base": -10, "sh_rest": -9}
"""Exponents of the steps by default: a thousandth of a scale and of a colour, 1/8192 of a rotation. Each is at least
sixteen times finer than what .spz rounds to, so that small residuals add up instead of being lost."""

_STEPS_PER_SPLAT = 64
"""The means' step is at most this part of the thinnest standard deviation that nine of ten splats exceed."""


@dataclass
class Decoder:
    """A linear map without bias from a splat's latents to the residual of one attribute.

    Attributes:
        entries: [M, L] numbers per splat by latents.
        shift: one unit of an entry is 2^-shift grid steps, 0 to 30.
    """

    entries: Int16[ndarray, "M L"]
    shift: int

    @property
    def latents(self) -> int:
        return self.entries.shape[1]

    def same(self, other: Decoder | None) -> bool:
        """Tell whether both decode alike."""
        return other is not None and self.shift == other.shift and np.array_equal(self.entries, other.entries)


@dataclass
class StreamState:
    """Gaussians on grids, the decoders in use, and to which anchor each Gaussian belongs.

    Attributes:
        grids: [6] exponent of the step of each attribute.
        arrays: float32 by name, [N, 3], [N, 3], [N, 4], [N, 1] and [N, 3 K]: those of `Gaussians`, flat.
        decoders: by attribute index.
        anchors: [N] or None where the stream has none.
        anchor_count: how many there are.
        frame: the frame that this is the state of.
        broken: a residual was refused half-way; only a keyframe helps.
    """

    degree: int
    grids: Int8[ndarray, " 6"]
    arrays: dict[str, Float32[ndarray, "N width"]]
    decoders: dict[int, Decoder] = field(default_factory=dict)
    anchors: Int32[ndarray, " N"] | None = None
    anchor_count: int = 0
    frame: int = 0
    broken: bool = False

    def __len__(self) -> int:
        return len(self.arrays["means"])

    def step(self, of: Attribute) -> float:
        """Return the attribute's grid step."""
        return 2.0 ** int(self.grids[of.index])

    def values(self, of: Attribute) -> Float32[ndarray, "N width"]:
        """Return the attribute's numbers, a view."""
        return self.arrays[of.array][:, of.column : of.column + of.width(self.degree)]

    def units(self, of: Attribute, rows: ndarray | slice = slice(None)) -> Int32[ndarray, "rows width"]:
        """Return the attribute's numbers in steps."""
        return (self.values(of)[rows] * np.float32(1 / self.step(of))).astype(np.int32)

    def checksum(self) -> tuple[int, int]:
        """Return two 32-bit sums over all numbers, decoders and anchors; see docs/stream-format.md."""
        low, high = len(self), self.degree
        for words, column in checksum_parts(self):
            part = core().stream_checksum(np.ascontiguousarray(words), column)
            low, high = low + part[0], high + part[1]
        return low & 0xFFFFFFFF, high & 0xFFFFFFFF

    def gaussians(self) -> Gaussians:
        """Return a copy of the Gaussians."""
        import torch

        from recon.splats.gaussians import Gaussians

        tensors = {name: torch.from_numpy(array.copy()) for name, array in self.arrays.items()}
        tensors["opacity_logits"] = tensors["opacity_logits"][:, 0]
        tensors["sh"] = tensors["sh"].reshape(len(self), -1, 3)
        return Gaussians(**tensors)

    def copy(self) -> StreamState:
        """Return a state that changes on its own."""
        arrays = {name: array.copy() for name, array in self.arrays.items()}
        anchors = None if self.anchors is None else self.anchors.copy()
        decoders = dict(self.decoders)
        return StreamState(
            self.degree,
            self.grids.copy(),
            arrays,
            decoders,
            anchors,
            self.anchor_count,
            self.frame,
            self.broken,
        )


def state_of(
    gaussians: Gaussians,
    grids: Mapping[str, int] | None = None,
    anchors: Int32[ndarray, " N"] | None = None,
) -> tuple[StreamState, Int64[ndarray, " N"]]:
    """Round Gaussians to grids and put them in Morton order; returns the state, and which Gaussian each row was.

    Args:
        grids: exponents that differ from the default ones, by attribute name.
        anchors: [N] anchor of each Gaussian, 0 to N - 1.

    Raises:
        ReconError: when there are too many Gaussians or none, or a number is not finite or out of its grid's range.
    """
    if not 1 <= len(gaussians) <= MAX_ROWS:
        raise ReconError(f"a stream holds 1 to {MAX_ROWS} Gaussians, not {len(gaussians)}")
    values = attribute_values(gaussians)
    chosen = {"means": means_grid(values["means"], values["log_scales"]), **GRIDS, **(grids or {})}
    degree = gaussians.sh_degree
    units = {one.index: _to_units(one, values[one.name], chosen[one.name]) for one in attributes(degree)}
    order = morton_order(units[0])
    exponents = np.array([chosen[one.name] for one in ATTRIBUTES], np.int8)
    if exponents.min() < GRID_RANGE[0] or exponents.max() > GRID_RANGE[1]:
        raise ReconError(f"grids of a stream are 2^{GRID_RANGE[0]} to 2^{GRID_RANGE[1]}, not {chosen}")
    state = empty_state(len(gaussians), degree, exponents)
    for one in attributes(degree):
        state.values(one)[:] = units[one.index][order] * np.float32(state.step(one))
    if anchors is not None:
        state.anchors = np.asarray(anchors, np.int32)[order]
        state.anchor_count = int(state.anchors.max()) + 1
        if state.anchors.min() < 0 or state.anchor_count > len(state):
            raise ReconError(f"anchors of {len(state)} Gaussians are 0 to {len(state) - 1}")
    return state, order


def attribute_values(gaussians: Gaussians) -> dict[str, Float32[ndarray, "N width"]]:
    """Return the numbers of Gaussians by the stream's attributes (`means`, `log_scales`, …, `sh_base`, `sh_rest`)."""
    given = {name: tensor.detach().cpu().float().numpy() for name, tensor in gaussians.tensors().items()}
    flat = {name: array.reshape(len(gaussians), -1) for name, array in given.items()}
    degree = gaussians.sh_degree
    return {
        one.name: flat[one.array][:, one.column : one.column + one.width(degree)]
        for one in attributes(degree)
    }


def empty_state(rows: int, degree: int, grids: ndarray) -> StreamState:
    """Return a state whose numbers are all zero."""
    widths = {name: width or 3 * (degree + 1) ** 2 for name, width in ARRAYS.items()}
    return StreamState(
        degree, grids, {name: np.zeros((rows, width), np.float32) for name, width in widths.items()}
    )


def means_grid(means: ndarray, log_scales: ndarray) -> int:
    """Return an exponent fine enough for small splats, and coarse enough for far ones to stay in range."""
    fine = np.exp(np.quantile(log_scales.min(axis=1), 0.1)) / _STEPS_PER_SPLAT
    extent = max(float(np.abs(means).max()), 1e-6)
    # Half of the range stays free for what moves away.
    coarse = int(np.ceil(np.log2(extent))) - 22
    return int(np.clip(np.floor(np.log2(max(fine, 1e-30))), max(coarse, GRID_RANGE[0]), GRID_RANGE[1]))


def morton_order(units: Int32[ndarray, "N 3"]) -> Int64[ndarray, " N"]:
    """Return the order along a Z-shaped curve, in which neighbours in space are mostly neighbours in the file."""
    offset = units.astype(np.int64) - units.min(axis=0)
    drop = max(0, int(offset.max()).bit_length() - 21)
    code = np.zeros(len(units), np.int64)
    for axis in range(3):
        bits = offset[:, axis] >> drop
        for shift, mask in _SPREAD:
            bits = (bits | bits << shift) & mask
        code |= bits << axis
    return np.argsort(code, kind="stable")


def checksum_parts(state: StreamState) -> list[tuple[ndarray, int]]:
    """Return the words [rows, width] that a checksum is made of, each with the column of its first one."""
    parts = [(state.arrays[name].view(np.uint32), column) for name, column in CHECKSUM_COLUMNS.items()]
    if state.anchors is not None:
        parts.append((state.anchors.view(np.uint32)[:, None], ANCHOR_COLUMN))
    for index, decoder in sorted(state.decoders.items()):
        words = np.concatenate([[decoder.latents, decoder.shift], decoder.entries.ravel()]).astype(np.int32)
        parts.append((words.view(np.uint32)[None], (1 << 30) + 4096 * index))
    return parts


def decoder_of(matrix: ndarray, state: StreamState, name: str) -> Decoder:
    """Round a real matrix [M, L] (numbers of the attribute per unit of a latent) to a decoder of finest shift.

    Raises:
        ReconError: when an entry is too large for 32767 grid steps, or not finite.
    """
    of = attribute(name)
    steps = np.asarray(matrix, np.float64) / state.step(of)
    greatest = np.abs(steps).max(initial=0.0)
    if not greatest <= 32767:
        raise ReconError(
            f"the decoder of {name} has an entry of {greatest:g} grid steps; at most 32767 are stored"
        )
    shift = 30 if greatest == 0 else int(np.clip(np.floor(np.log2(32767 / greatest)), 0, 30))
    return Decoder(np.rint(steps * 2.0**shift).astype(np.int16), shift)


def _to_units(of: Attribute, values: ndarray, exponent: int) -> ndarray:
    if not np.isfinite(values).all():
        raise ReconError(f"the stream was not written: {of.name.replace('_', ' ')} hold NaN or infinity")
    units = np.rint(values.astype(np.float64) * 2.0**-exponent)
    greatest = np.abs(values).max(initial=0.0)
    if np.abs(units).max(initial=0) >= UNITS:
        raise ReconError(
            f"the stream was not written: {of.name.replace('_', ' ')} reach {greatest:g}, and with steps of "
            f"2^{exponent} they end at {UNITS * 2.0**exponent:g}; crop far Gaussians away or take coarser steps"
        )
    return units.astype(np.int32)


_SPREAD = (
    (32, 0x1F00000000FFFF),
    (16, 0x1F0000FF0000FF),
    (8, 0x100F00F00F00F00F),
    (4, 0x10C30C30C30C30C3),
    (2, 0x1249249249249249),
)
"""Shifts and masks that leave two zero bits between the 21 bits of a number."""
