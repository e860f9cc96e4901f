"""The inner loops of `cuda/stream/` once more, to be read: slow, plain, and the oracle of their tests."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Int16, Int32, Integer, UInt8, UInt32
from numpy import ndarray

from recon.errors import ReconError
from recon.streaming.rans import STATES, parse, slots

_LOW = 1 << 15


def rans_decode(stored: bytes, size: int) -> UInt8[ndarray, " size"]:
    """Return the bytes that `recon.streaming.rans.rans_encode` was given.

    Raises:
        ReconError: when the bytes are damaged.
    """
    coded = parse(stored)
    tables = slots(coded.frequencies).tolist()
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
