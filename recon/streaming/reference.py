"""The inner loops of `cuda/stream/` once more, to be read: slow, plain, and the oracle of their tests."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int16, Int32, Integer, UInt8, UInt32
from numpy import ndarray

from recon.errors import ReconError
from recon.streaming.rans import MAX_TABLES, STATES, TOTAL

_LOW = 1 << 15


def rans_decode(stored: bytes, size: int) -> UInt8[ndarray, " size"]:
    """Return the bytes that `recon.streaming.rans.rans_encode` was given.

    Raises:
        ReconError: when the bytes are damaged.
    """
    coded = _parse(stored)
    tables = _slots(coded.frequencies).tolist()
    columns = coded.column_tables.tolist()
    words = coded.words.view("<u2").tolist()
    states = coded.states.tolist()
    content, at = [], 0
    for i in range(size):
        state = states[i % STATES]
        slot = tables[columns[i % len(columns)]][state % 4096]
        content.append(slot & 255)
        state = ((slot >> 8 & 4095) + 1) * (state >> 12) + (slot >> 20)
        if state < _LOW:
            if at == len(words):
                raise ReconError(f"does not decode to {size} bytes")
            state = state << 16 | words[at]
            at += 1
        states[i % STATES] = state
    if at != len(words) or any(state != _LOW for state in states):
        raise ReconError(f"does not decode to {size} bytes")
    return np.array(content, np.uint8)


def add_latents(
    values: Float32[ndarray, "N width"],
    column: int,
    rows: Int32[ndarray, " R"],
    codes: Integer[ndarray, "R L"],
    _largest_code: int,
    decoder: Int16[ndarray, "M L"],
    shift: int,
    step: float,
    limit: float,
) -> bool:
    """Add to rows what their latents decode to; false where a number leaves its range."""
    sums = codes.astype(np.int64) @ decoder.astype(np.int64).T
    residual = sums + ((1 << shift) >> 1) >> shift
    changed = values[rows, column : column + len(decoder)] + residual.astype(np.float32) * np.float32(step)
    values[rows, column : column + len(decoder)] = changed
    return bool((np.abs(changed) < limit).all())


def stream_checksum(words: UInt32[ndarray, "rows width"], column: int) -> tuple[int, int]:
    """Return an attribute's share in the checksum of a state."""
    modulus = 1 << 32
    low = high = 0
    for row, numbers in enumerate(words.tolist()):
        for k, word in enumerate(numbers):
            key = (64 * row + column + k) * 0x9E3779B1 % modulus
            hashed = (word ^ key) * 0x85EBCA6B % modulus
            hashed ^= hashed >> 15
            low += hashed
            high += (hashed ^ hashed >> 13) * 0xC2B2AE35
    return low % modulus, high % modulus


@dataclass
class _Coded:
    """The parts of encoded bytes."""

    column_tables: UInt8[ndarray, " columns"]
    frequencies: Integer[ndarray, "tables 256"]
    states: UInt32[ndarray, " 8"]
    words: UInt8[ndarray, " bytes"]


def _parse(stored: bytes) -> _Coded:
    """Take encoded bytes apart, checking each table.

    Raises:
        ReconError: when they are damaged.
    """
    if len(stored) < 2:
        raise ReconError("is cut off before its tables")
    columns, tables = stored[0], stored[1]
    if not (columns >= 1 and 1 <= tables <= min(columns, MAX_TABLES)):
        raise ReconError(f"states {tables} tables for {columns} columns")
    at = 2 + (columns if tables > 1 else 0)
    column_tables = np.zeros(columns, np.uint8)
    if tables > 1:
        column_tables = np.frombuffer(stored[2:at], np.uint8)
        if len(column_tables) < columns or column_tables.max() >= tables:
            raise ReconError("names a table that it does not have")
    frequencies = np.zeros((tables, 256), np.int64)
    for row in frequencies:
        at = _unpack_table(stored, at, row)
    if len(stored) - at < 4 * STATES or (len(stored) - at) % 2:
        raise ReconError("is cut off after its tables")
    states = np.frombuffer(stored, "<u4", STATES, at).astype(np.uint32)
    if states.min() < 1 << 15 or states.max() >= 1 << 31:
        raise ReconError("starts in a state that cannot be")
    return _Coded(column_tables, frequencies, states, np.frombuffer(stored, np.uint8, offset=at + 4 * STATES))


def _slots(frequencies: Integer[ndarray, "tables 256"]) -> UInt32[ndarray, "tables 4096"]:
    """Return for each of the 4096 places of each table: symbol, (frequency - 1) << 8, place in the symbol << 20."""
    starts = np.cumsum(frequencies, axis=1) - frequencies
    entries = np.empty((len(frequencies), TOTAL), np.uint32)
    for row, frequency, start in zip(entries, frequencies, starts, strict=True):
        symbols = np.repeat(np.arange(256), frequency)
        row[:] = symbols | (frequency[symbols] - 1) << 8 | (np.arange(TOTAL) - start[symbols]) << 20
    return entries


def _unpack_table(stored: bytes, at: int, frequencies: ndarray) -> int:
    """Fill a row of 256; returns where the next table starts."""
    try:
        last, at = stored[at], at + 1
        symbol = total = 0
        while symbol <= last:
            frequency, at = stored[at], at + 1
            if frequency == 0:
                symbol, at = symbol + 1 + stored[at], at + 1
                continue
            if frequency >= 128:
                frequency, at = frequency & 127 | stored[at] << 7, at + 1
                if frequency == 0:
                    raise ReconError("has a frequency of zero in two bytes")
            frequencies[symbol] = frequency
            total += frequency
            symbol += 1
    except IndexError:
        raise ReconError("is cut off within its tables") from None
    if symbol != last + 1 or total != TOTAL:
        raise ReconError(f"has a table of frequencies that do not sum to {TOTAL}")
    return at
