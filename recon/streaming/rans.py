"""A range coder with static tables: bytes in columns, one table of frequencies for each kind of column.

Byte i belongs to column i mod C. Columns whose bytes are distributed alike share a table, because a table costs bytes
itself. Eight coders take turns, which a processor runs at the same time. The layout is in docs/stream-format.md.

Source: Duda, "Asymmetric numeral systems: entropy coding combining speed of Huffman coding with compression rate of
arithmetic coding", 2013; interleaving: Giesen, "Interleaved entropy coders", 2014.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from jaxtyping import Integer, UInt8
from numpy import ndarray

from recon.ops.native import core

TOTAL = 1 << 12
"""Frequencies of a table sum to this."""

STATES = 8
MAX_COLUMNS = 255
MAX_TABLES = 64


def rans_encode(content: UInt8[ndarray, " n"], columns: int) -> bytes:
    """Return `content` with an own table for each kind of column.

    Raises:
        ValueError: when there is nothing to encode, or columns are not 1 to 255.
    """
    if not (1 <= columns <= MAX_COLUMNS and len(content)):
        raise ValueError(
            f"rans_encode: expected bytes in 1 to {MAX_COLUMNS} columns, got {len(content)} in {columns}"
        )
    content = np.ascontiguousarray(content, np.uint8)
    column_tables, counts = _group(_histograms(content, columns))
    frequencies = np.stack([normalized(count) for count in counts])
    starts = np.cumsum(frequencies, axis=1) - frequencies
    words = np.empty(2 * len(content), np.uint8)
    states = np.empty(STATES, np.uint32)
    entries = (frequencies << 16 | starts).astype(np.uint32)
    used = core().rans_encode(content, entries, column_tables, words, states)
    head = bytes([columns, len(counts)]) + (column_tables.tobytes() if len(counts) > 1 else b"")
    tables = b"".join(_pack_table(row) for row in frequencies)
    return head + tables + states.astype("<u4").tobytes() + words[len(words) - 2 * used :].tobytes()


def rans_decode(stored: Sequence[bytes], sizes: Sequence[int]) -> list[UInt8[ndarray, " size"] | str]:
    """Return what several calls of `rans_encode` were given, or what is wrong with the bytes.

    Decoding several at once takes half as long as one after the other.
    """
    contents = [np.empty(size, np.uint8) for size in sizes]
    problems = core().rans_decode([np.frombuffer(one, np.uint8) for one in stored], contents)
    return [problem or content for problem, content in zip(problems, contents, strict=True)]


def normalized(counts: Integer[ndarray, " 256"]) -> Integer[ndarray, " 256"]:
    """Return frequencies that sum to 4096, at least 1 for every symbol that occurs."""
    total = int(counts.sum())
    frequencies = np.where(counts > 0, np.maximum(1, counts * TOTAL // max(total, 1)), 0)
    while excess := int(frequencies.sum()) - TOTAL:
        largest = int(frequencies.argmax())
        # Too much is taken from the most frequent symbols, step by step; too little is given to the first of them.
        change = -min(excess, max(1, int(frequencies[largest]) // 8)) if excess > 0 else -excess
        frequencies[largest] += change
    return frequencies


def _histograms(content: ndarray, columns: int) -> ndarray:
    counts = np.zeros((columns, 256), np.int64)
    whole = len(content) // columns * columns
    rows = content[:whole].reshape(-1, columns)
    for column in range(columns):
        counts[column] = np.bincount(rows[:, column], minlength=256)
    for column, symbol in enumerate(content[whole:]):
        counts[column, symbol] += 1
    return counts


def _group(counts: ndarray) -> tuple[ndarray, ndarray]:
    """Merge columns while that saves bytes; returns the table of each column, and the tables' counts."""
    used = [column for column in range(len(counts)) if counts[column].any()]
    # Neighbours by entropy per symbol are the likely partners, so only those are tried.
    used.sort(key=lambda column: _bits(counts[column]) / counts[column].sum())
    groups, sums = [[column] for column in used], [counts[column] for column in used]
    costs = [_cost(one) for one in sums]
    merged = [_cost(a + b) for a, b in pairwise(sums)]
    while len(groups) > 1:
        gains = [costs[i] + costs[i + 1] - merged[i] for i in range(len(merged))]
        best = int(np.argmax(gains))
        if gains[best] <= 0 and len(groups) <= MAX_TABLES:
            break
        groups[best : best + 2] = [groups[best] + groups[best + 1]]
        sums[best : best + 2] = [sums[best] + sums[best + 1]]
        costs[best : best + 2] = [merged[best]]
        del merged[best]
        for i in (best - 1, best):
            if 0 <= i < len(merged):
                merged[i] = _cost(sums[i] + sums[i + 1])
    tables = np.zeros(len(counts), np.uint8)
    for index, group in enumerate(groups):
        tables[group] = index
    return tables, np.stack(sums)


def _bits(counts: ndarray) -> float:
    present = counts[counts > 0]
    return float((present * np.log2(present.sum() / present)).sum())


def _cost(counts: ndarray) -> float:
    """Return the bits of coding symbols that occur so often, table included."""
    return _bits(counts) + 12 * np.count_nonzero(counts) + 8


def _pack_table(frequencies: ndarray) -> bytes:
    """Last symbol, then each frequency; 0 is followed by how many more zeros there are."""
    last = int(np.flatnonzero(frequencies)[-1])
    out = bytearray([last])
    symbol = 0
    while symbol <= last:
        frequency = int(frequencies[symbol])
        if frequency == 0:
            more = 0
            while frequencies[symbol + 1 + more] == 0:
                more += 1
            out += bytes([0, more])
            symbol += 1 + more
        else:
            out += bytes([frequency]) if frequency < 128 else bytes([frequency & 127 | 128, frequency >> 7])
            symbol += 1
    return bytes(out)
