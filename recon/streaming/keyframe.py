"""Keyframes: a whole state, without loss and without reference to any other frame."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

import numpy as np
from numpy import ndarray

from recon.errors import ReconError
from recon.streaming.codecs import ALL_CODECS
from recon.streaming.integers import Layout, check_layout, pack_integers, unpack_integers
from recon.streaming.layout import (
    ATTRIBUTES,
    GRID_RANGE,
    MAX_DECODER_SHIFT,
    MAX_LATENTS,
    PREVIEW_FLAG,
    UNITS,
    Codec,
    RecordKind,
    SectionId,
    attributes,
)
from recon.streaming.record import Record
from recon.streaming.state import Decoder, StreamState, empty_state

_DECODER = struct.Struct("<BBBB")
_ABSOLUTE, _DIFFERENCE = 0, 1


def encode_keyframe(
    state: StreamState, *, preview: bool = False, codecs: Sequence[Codec] = ALL_CODECS
) -> Record:
    """Return the state as a record of its frame.

    Args:
        preview: this is a reduced state to look at until the full one is there.
    """
    flags = PREVIEW_FLAG if preview else 0
    record = Record(RecordKind.KEYFRAME, state.degree, state.frame, 0, len(state), flags, state.checksum())
    record.add(SectionId.GRIDS, state.grids.tobytes(), codecs=codecs)
    if state.decoders:
        record.add(SectionId.DECODERS, pack_decoders(state.decoders, {}), codecs=codecs)
    if state.anchors is not None:
        layout, content = pack_integers(state.anchors[:, None], predictor=1)
        record.add(SectionId.ANCHORS, content, layout, codecs)
    for one in attributes(state.degree):
        # Along the Morton curve neighbours lie close together; their shapes and colours have less in common.
        layout, content = pack_integers(state.units(one), predictor=int(one.name == "means"))
        record.add(SectionId.VALUES + one.index, content, layout, codecs)
    return record


def decode_keyframe(record: Record, source: str) -> StreamState:
    """Return the state that a keyframe holds; its checksum is not compared here.

    Raises:
        ReconError: when the record is no keyframe, or damaged.
    """
    if record.kind != RecordKind.KEYFRAME:
        raise ReconError(f"{source}: frame {record.frame} is not a keyframe")
    grids = _required(record, SectionId.GRIDS, source)[0].view(np.int8).copy()
    if len(grids) != len(ATTRIBUTES) or grids.min() < GRID_RANGE[0] or grids.max() > GRID_RANGE[1]:
        raise ReconError(f"{source}: the grids of frame {record.frame} are out of range")
    # Before anything is allocated: the bytes that the state needs must be there.
    for one in attributes(record.degree):
        id = SectionId.VALUES + one.index
        section = record.sections.get(id)
        if section is None:
            raise ReconError(f"{source}: {record.name(id)} is missing")
        try:
            check_layout(section.layout, section.size, record.rows, one.width(record.degree))
        except ReconError as error:
            raise ReconError(f"{source}: {record.name(id)} {error}") from None
    record.unpack_rans()
    state = empty_state(record.rows, record.degree, grids)
    for one in attributes(record.degree):
        units = unpack_matrix(
            record, SectionId.VALUES + one.index, record.rows, one.width(record.degree), UNITS - 1, source
        )
        state.values(one)[:] = units * np.float32(state.step(one))
    if SectionId.DECODERS in record.sections:
        state.decoders = unpack_decoders(record, {}, source)
    if SectionId.ANCHORS in record.sections:
        anchors = unpack_matrix(record, SectionId.ANCHORS, record.rows, 1, record.rows - 1, source)[:, 0]
        if anchors.min() < 0:
            raise ReconError(f"{source}: an anchor of frame {record.frame} is negative")
        state.anchors = np.ascontiguousarray(anchors)
        state.anchor_count = int(anchors.max()) + 1
    state.frame = record.frame
    return state


def unpack_matrix(record: Record, id: int, rows: int, columns: int, limit: int, source: str) -> ndarray:
    """Return a section's matrix.

    Raises:
        ReconError: when there is no such section, or it does not hold `rows` by `columns` numbers within `limit`.
    """
    return unpack_codes(record, id, rows, columns, limit, source)[0].astype(np.int32, copy=False)


def unpack_codes(
    record: Record, id: int, rows: int, columns: int, limit: int, source: str
) -> tuple[ndarray, int]:
    """As `unpack_matrix`, with the greatest magnitude."""
    section = record.sections.get(int(id))
    if section is None:
        raise ReconError(f"{source}: {record.name(id)} is missing")
    try:
        check_layout(section.layout, section.size, rows, columns)
        unpacked = record.unpack(id)
        assert unpacked is not None
        return unpack_integers(unpacked[0], unpacked[1], rows, columns, limit)
    except ReconError as error:
        raise ReconError(f"{source}: {record.name(id)} {error}") from None


def pack_decoders(decoders: Mapping[int, Decoder | None], previous: Mapping[int, Decoder]) -> bytes:
    """Return decoders by attribute index, as differences where one of the same shape was there; None takes one away."""
    out = bytearray()
    for index, decoder in sorted(decoders.items()):
        if decoder is None:
            out += _DECODER.pack(index, 0, 0, _ABSOLUTE)
            continue
        old = previous.get(index)
        difference = old is not None and old.entries.shape == decoder.entries.shape
        entries = decoder.entries.astype(np.int32)
        if difference:
            assert old is not None
            # Differences wrap around at 16 bits, so that every change can be said.
            entries = (entries - old.entries).astype(np.int16)
        out += _DECODER.pack(index, decoder.latents, decoder.shift, _DIFFERENCE if difference else _ABSOLUTE)
        out += entries.astype("<i2").tobytes()
    return bytes(out)


def unpack_decoders(record: Record, previous: dict[int, Decoder], source: str) -> dict[int, Decoder]:
    """Return all decoders after the changes that a record states.

    Raises:
        ReconError: when the section is damaged.
    """
    decoders = dict(previous)
    try:
        unpacked = record.unpack(SectionId.DECODERS)
        if unpacked is None:
            return decoders
        content, at, last = unpacked[0].tobytes(), 0, 0
        known = [one.index for one in attributes(record.degree)]
        while at < len(content):
            if len(content) - at < _DECODER.size:
                raise ReconError("is cut off")
            index, latents, shift, mode = _DECODER.unpack_from(content, at)
            at += _DECODER.size
            if index <= last or index not in known:
                raise ReconError(f"has a decoder of attribute {index}, which is out of place")
            last = index
            if latents > MAX_LATENTS or shift > MAX_DECODER_SHIFT or mode > _DIFFERENCE:
                raise ReconError("states a size, shift or mode that this version does not know")
            if latents == 0:
                decoders.pop(index, None)
                continue
            shape = (ATTRIBUTES[index].width(record.degree), latents)
            count = shape[0] * shape[1]
            if len(content) - at < 2 * count:
                raise ReconError("is cut off")
            entries = np.frombuffer(content, "<i2", count, at).astype(np.int16).reshape(shape)
            at += 2 * count
            if mode == _DIFFERENCE:
                old = decoders.get(index)
                if old is None or old.entries.shape != shape:
                    raise ReconError(f"changes a decoder of attribute {index} that is not there")
                entries = entries + old.entries
            decoders[index] = Decoder(entries, shift)
    except ReconError as error:
        raise ReconError(f"{source}: {record.name(SectionId.DECODERS)} {error}") from None
    return decoders


def _required(record: Record, id: int, source: str) -> tuple[ndarray, Layout]:
    try:
        unpacked = record.unpack(id)
    except ReconError as error:
        raise ReconError(f"{source}: {record.name(id)} {error}") from None
    if unpacked is None:
        raise ReconError(f"{source}: {record.name(id)} is missing")
    return unpacked
