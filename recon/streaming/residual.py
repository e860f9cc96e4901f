"""Residual frames: what one frame changes in the state of the frame before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Int32, Integer
from numpy import ndarray

from recon.errors import ReconError
from recon.streaming.codecs import ALL_CODECS
from recon.streaming.integers import pack_integers, pack_mask, unpack_mask
from recon.streaming.keyframe import pack_decoders, unpack_codes, unpack_decoders, unpack_matrix
from recon.streaming.layout import (
    MAX_CODE,
    UNITS,
    Codec,
    RecordKind,
    SectionId,
    attribute,
    attributes,
)
from recon.streaming.record import Record
from recon.streaming.state import Decoder, StreamState


@dataclass
class Latents:
    """What a decoder turns into residuals of one attribute.

    Attributes:
        rows: [R] ascending rows of the state before.
        codes: [R, L] whole numbers, at most 32767 in magnitude; int8 or int32.
    """

    rows: Int32[ndarray, " R"]
    codes: Integer[ndarray, "R L"]
    largest: int

    @staticmethod
    def of(dense: Int32[ndarray, "N L"]) -> Latents:
        """Keep the rows that have a latent other than zero."""
        rows = np.flatnonzero(dense.any(axis=1)).astype(np.int32)
        codes = np.ascontiguousarray(dense[rows], np.int32)
        return Latents(rows, codes, int(np.abs(codes).max(initial=0)))


@dataclass
class Births:
    """New Gaussians, in grid steps.

    Attributes:
        values: by attribute index, [B, width]; added to the parent's where there is one.
        parents: [B] row of the state before, -1 for none; None where nobody has one.
        anchors: [B] where the stream has anchors.
    """

    values: dict[int, Int32[ndarray, "B width"]]
    parents: Int32[ndarray, " B"] | None = None
    anchors: Int32[ndarray, " B"] | None = None

    def __len__(self) -> int:
        return len(self.values[0])


@dataclass
class Residual:
    """What one frame changes; rows are those of the state before.

    Attributes:
        decoders: changed decoders by attribute index, None to take one away.
        moved_anchors: [A] ascending; all their Gaussians move by `anchor_motion`.
        anchor_motion: [A, 3] grid steps of the means.
        gated: [G] ascending rows whose means move by `positions`.
        positions: [G, 3] grid steps of the means.
        latents: by attribute index.
        removed: [R] ascending rows that vanish; births take their places.
    """

    decoders: dict[int, Decoder | None] = field(default_factory=dict)
    moved_anchors: Int32[ndarray, " A"] = field(default_factory=lambda: np.empty(0, np.int32))
    anchor_motion: Int32[ndarray, "A 3"] = field(default_factory=lambda: np.empty((0, 3), np.int32))
    gated: Int32[ndarray, " G"] = field(default_factory=lambda: np.empty(0, np.int32))
    positions: Int32[ndarray, "G 3"] = field(default_factory=lambda: np.empty((0, 3), np.int32))
    latents: dict[int, Latents] = field(default_factory=dict)
    removed: Int32[ndarray, " R"] = field(default_factory=lambda: np.empty(0, np.int32))
    births: Births | None = None

    def set_latents(self, name: str, dense: Int32[ndarray, "N L"]) -> None:
        """Take the latents of an attribute for all rows, zeros included."""
        self.latents[attribute(name).index] = Latents.of(dense)

    def set_positions(self, dense: Int32[ndarray, "N 3"]) -> None:
        """Take the moves of all rows' means in grid steps, zeros included."""
        self.gated = np.flatnonzero(dense.any(axis=1)).astype(np.int32)
        self.positions = np.ascontiguousarray(dense[self.gated], np.int32)


def births_of(
    values: Mapping[str, ndarray],
    state: StreamState,
    parents: Int32[ndarray, " B"] | None = None,
    anchors: Int32[ndarray, " B"] | None = None,
) -> Births:
    """Round new Gaussians to the state's grids.

    Args:
        values: [B, width] by attribute name (`means`, `log_scales`, …, `sh_base`, `sh_rest`), absolute.
        parents: [B] rows that they resemble, -1 for none; only the differences are then stored.
    """
    units = {}
    for one in attributes(state.degree):
        rounded = np.rint(np.asarray(values[one.name], np.float64) / state.step(one))
        rounded = (
            np.clip(np.nan_to_num(rounded), 1 - UNITS, UNITS - 1)
            .astype(np.int32)
            .reshape(-1, one.width(state.degree))
        )
        if parents is not None:
            rounded -= np.where((parents >= 0)[:, None], state.units(one, np.maximum(parents, 0)), 0)
        units[one.index] = rounded
    return Births(units, parents, anchors)


def encode_residual(
    residual: Residual, state: StreamState, frame: int, *, codecs: Sequence[Codec] = ALL_CODECS
) -> Record:
    """Return a residual as the record of `frame`; its checksum is still to be set.

    Args:
        state: of the frame before.
    """
    births = residual.births
    born = 0 if births is None else len(births)
    rows = len(state) - len(residual.removed) + born
    record = Record(RecordKind.RESIDUAL, state.degree, frame, len(state), rows)

    def matrix(id: int, numbers: ndarray, predictor: int = 0) -> None:
        layout, content = pack_integers(numbers, predictor)
        record.add(id, content, layout, codecs)

    def mask(id: int, places: ndarray, count: int) -> None:
        bits = np.zeros(count, bool)
        bits[places] = True
        record.add(id, pack_mask(bits), codecs=codecs)

    changes = {i: one for i, one in residual.decoders.items() if not _unchanged(one, state.decoders.get(i))}
    if changes:
        record.add(SectionId.DECODERS, pack_decoders(changes, state.decoders), codecs=codecs)
    if len(residual.removed):
        matrix(SectionId.REMOVED, residual.removed[:, None], predictor=1)
    if births is not None and born:
        if births.parents is not None:
            matrix(SectionId.BIRTH_PARENTS, births.parents[:, None] + 1)
        if births.anchors is not None:
            matrix(SectionId.BIRTH_ANCHORS, births.anchors[:, None], predictor=1)
        for one in attributes(state.degree):
            # Without parents they come along the Morton curve, as in a keyframe.
            follows = births.parents is None and one.name == "means"
            matrix(SectionId.VALUES + one.index, births.values[one.index], predictor=int(follows))
    if len(residual.moved_anchors):
        mask(SectionId.ANCHOR_MASK, residual.moved_anchors, state.anchor_count)
        matrix(SectionId.ANCHOR_MOTION, residual.anchor_motion)
    if len(residual.gated):
        mask(SectionId.GATE_MASK, residual.gated, len(state))
        matrix(SectionId.POSITIONS, residual.positions)
    used = {index: latents for index, latents in residual.latents.items() if len(latents.rows)}
    if used:
        active = np.unique(np.concatenate([latents.rows for latents in used.values()]))
        mask(SectionId.ACTIVE_MASK, active, len(state))
        for index, latents in used.items():
            if len(latents.rows) < len(active):
                among = np.searchsorted(active, latents.rows).astype(np.int32)
                mask(SectionId.ATTRIBUTE_MASK + index, among, len(active))
            matrix(SectionId.LATENTS + index, latents.codes)
    return record


def decode_residual(record: Record, state: StreamState, source: str) -> Residual:
    """Return what a record changes in `state`, checked to fit it.

    Raises:
        ReconError: when the record is no residual of the frame after the state's, or damaged.
    """
    if record.kind != RecordKind.RESIDUAL:
        raise ReconError(f"{source}: frame {record.frame} is a keyframe, not a residual")
    if (
        state.broken
        or record.frame != state.frame + 1
        or record.rows_before != len(state)
        or record.degree != state.degree
    ):
        raise ReconError(
            f"{source}: frame {record.frame} does not follow frame {state.frame} of {len(state)} Gaussians; "
            "start again from a keyframe"
        )
    record.unpack_rans()
    residual = Residual()
    decoders = dict(state.decoders)
    if SectionId.DECODERS in record.sections:
        decoders = unpack_decoders(record, state.decoders, source)
        residual.decoders = {i: decoders.get(i) for i in {*decoders, *state.decoders}}
    count = len(state)
    if SectionId.ANCHOR_MASK in record.sections:
        residual.moved_anchors = _mask(record, SectionId.ANCHOR_MASK, state.anchor_count, source)
        moved = len(residual.moved_anchors)
        residual.anchor_motion = unpack_matrix(record, SectionId.ANCHOR_MOTION, moved, 3, 2 * UNITS, source)
    if SectionId.GATE_MASK in record.sections:
        residual.gated = _mask(record, SectionId.GATE_MASK, count, source)
        gated = len(residual.gated)
        residual.positions = unpack_matrix(record, SectionId.POSITIONS, gated, 3, 2 * UNITS, source)
    if SectionId.ACTIVE_MASK in record.sections:
        active = _mask(record, SectionId.ACTIVE_MASK, count, source)
        for one in attributes(record.degree)[1:]:
            if SectionId.LATENTS + one.index not in record.sections:
                continue
            decoder = decoders.get(one.index)
            if decoder is None:
                raise ReconError(f"{source}: {record.name(SectionId.LATENTS + one.index)} has no decoder")
            rows = active
            if SectionId.ATTRIBUTE_MASK + one.index in record.sections:
                rows = active.take(_mask(record, SectionId.ATTRIBUTE_MASK + one.index, len(active), source))
            id = SectionId.LATENTS + one.index
            codes, largest = unpack_codes(record, id, len(rows), decoder.latents, MAX_CODE, source)
            residual.latents[one.index] = Latents(rows, codes, largest)
    if SectionId.REMOVED in record.sections:
        residual.removed = _removed(record, count, source)
    born = record.rows - (count - len(residual.removed))
    if born < 0:
        raise ReconError(f"{source} is damaged: frame {record.frame} removes more Gaussians than it says")
    if born:
        residual.births = _births(record, state, born, source)
    return residual


def _unchanged(new: Decoder | None, old: Decoder | None) -> bool:
    return old is None if new is None else new.same(old)


def _mask(record: Record, id: int, count: int, source: str) -> ndarray:
    section = record.sections[int(id)]
    try:
        if section.size != (count + 7) // 8:
            raise ReconError(f"has {section.size} bytes, but {count} bits are needed")
        unpacked = record.unpack(id)
        assert unpacked is not None
        return unpack_mask(unpacked[0], count)
    except ReconError as error:
        raise ReconError(f"{source}: {record.name(id)} {error}") from None


def _removed(record: Record, count: int, source: str) -> ndarray:
    section = record.sections[SectionId.REMOVED]
    rows = section.size // max(1, section.layout.width)
    if rows > count:
        raise ReconError(f"{source} is damaged: frame {record.frame} removes {rows} of {count} Gaussians")
    removed = np.ascontiguousarray(unpack_matrix(record, SectionId.REMOVED, rows, 1, count - 1, source)[:, 0])
    if rows and (removed[0] < 0 or (np.diff(removed) <= 0).any()):
        raise ReconError(f"{source} is damaged: the rows that frame {record.frame} removes do not ascend")
    return removed


def _births(record: Record, state: StreamState, born: int, source: str) -> Births:
    count = len(state)
    limit = 2 * UNITS
    values = {
        one.index: unpack_matrix(
            record, SectionId.VALUES + one.index, born, one.width(record.degree), limit, source
        )
        for one in attributes(record.degree)
    }
    parents = anchors = None
    if SectionId.BIRTH_PARENTS in record.sections:
        parents = unpack_matrix(record, SectionId.BIRTH_PARENTS, born, 1, count, source)[:, 0] - 1
        if parents.min() < -1:
            raise ReconError(f"{source} is damaged: frame {record.frame} names a parent that is not there")
    if state.anchors is not None:
        anchors = unpack_matrix(record, SectionId.BIRTH_ANCHORS, born, 1, state.anchor_count - 1, source)[
            :, 0
        ]
        if anchors.min() < 0:
            raise ReconError(f"{source} is damaged: frame {record.frame} names an anchor that is not there")
    return Births(values, parents, anchors)
