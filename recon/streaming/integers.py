"""Matrices of whole numbers and bitmaps as bytes: what nearly every section holds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int32, Integer
from numpy import ndarray

from recon.errors import ReconError
from recon.ops.native import core

MAX_SHIFT = 23


@dataclass(frozen=True)
class Layout:
    """How the bytes of a matrix are to be read.

    Attributes:
        width: bytes per number, 1 to 4; 0 for sections that hold no matrix.
        predictor: 1 when each row holds the difference from the row before, 0 when the numbers themselves.
        columns: numbers per row.
        shift: the numbers are multiples of 2^shift.
    """

    width: int = 0
    predictor: int = 0
    columns: int = 0
    shift: int = 0


NO_LAYOUT = Layout()


def pack_integers(numbers: Integer[ndarray, "rows columns"], predictor: int = 0) -> tuple[Layout, bytes]:
    """Return a matrix as little-endian zigzag numbers of the fewest bytes that hold all of them.

    Zigzag takes 0, -1, 1, -2, … to 0, 1, 2, 3, …, so that small numbers have zeros in their high bytes.
    """
    numbers = np.asarray(numbers, np.int64)
    shift = 0
    if numbers.any() and not predictor:
        lowest = int(np.bitwise_or.reduce(numbers, axis=None))
        shift = min(MAX_SHIFT, (lowest & -lowest).bit_length() - 1)
    stored = np.diff(numbers, axis=0, prepend=0) if predictor else numbers >> shift
    codes = np.where(stored < 0, -2 * stored - 1, 2 * stored)
    width = max(1, (int(codes.max(initial=0)).bit_length() + 7) // 8)
    if width > 4:
        raise ValueError("pack_integers: expected numbers within 31 bits and a sign")
    content = codes.astype("<u4").view(np.uint8).reshape(-1, 4)[:, :width].tobytes()
    return Layout(width, predictor, numbers.shape[1], shift), content


def unpack_integers(
    content: ndarray, layout: Layout, rows: int, columns: int, limit: int
) -> tuple[Integer[ndarray, "rows columns"], int]:
    """Return the matrix, as int8 or int32, and the greatest magnitude in it.

    Raises:
        ReconError: when the bytes are not those of `rows` times `columns` numbers, or one is beyond `limit`,
            which is below 2^31.
    """
    check_layout(layout, len(content), rows, columns)
    if layout.width == 1 and not layout.predictor and not layout.shift:
        # In place: most latents come this way, and fresh memory costs more than the work.
        content = content if content.flags.writeable else content.copy()
        largest = core().unpack_bytes(content)
        if largest > limit:
            raise ReconError(f"holds {largest}, beyond the {limit} that it may reach")
        return content.view(np.int8).reshape(rows, columns), largest
    numbers: Integer[ndarray, "rows columns"] = np.empty((rows, columns), np.int32)
    largest = core().unpack_integers(content, layout.width, numbers.reshape(-1))
    if layout.predictor:
        numbers = np.cumsum(numbers, axis=0, dtype=np.int64)  # at most 2^23 rows of 2^31: no overflow
        largest = int(np.abs(numbers).max(initial=0))
    largest <<= layout.shift
    if largest > limit:
        raise ReconError(f"holds {largest}, beyond the {limit} that it may reach")
    return numbers.astype(np.int32, copy=False) << layout.shift, largest


def check_layout(layout: Layout, size: int, rows: int, columns: int) -> None:
    """Raise ReconError unless `size` bytes can be that matrix."""
    if not (1 <= layout.width <= 4 and layout.predictor <= 1 and layout.shift <= MAX_SHIFT):
        raise ReconError("states a width, predictor or shift that this version does not know")
    if layout.columns != columns or size != rows * columns * layout.width:
        raise ReconError(
            f"has {size} bytes in {layout.columns} columns, but {rows} rows of {columns} numbers of "
            f"{layout.width} bytes are needed"
        )


def pack_mask(mask: Bool[ndarray, " n"]) -> bytes:
    """Return a bitmap: bit i % 8 (from the lowest) of byte i // 8."""
    return np.packbits(mask, bitorder="little").tobytes()


def unpack_mask(content: ndarray, count: int) -> Int32[ndarray, " set"]:
    """Return the places of the set bits, ascending.

    Raises:
        ReconError: when the bytes are not those of `count` bits, or bits beyond them are set.
    """
    if len(content) != (count + 7) // 8:
        raise ReconError(f"has {len(content)} bytes, but {count} bits are needed")
    if count % 8 and content[-1] >> count % 8:
        raise ReconError("has bits beyond its end")
    return core().places_of_bits(content)
