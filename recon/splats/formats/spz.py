"""The .spz format: Gaussians in about a tenth of the .ply's bytes.

Every Gaussian is stored as bytes, one attribute after another for all Gaussians:

| attribute | bytes | value |
|---|---|---|
| position | 3 x 3 | signed 24-bit, little endian, times 2^-f; f (`fractional bits`) is in the header |
| opacity | 1 | round(255 sigmoid(logit)); 0 and 255 read as 0.25 and 254.75, to stay finite |
| colour | 3 | round(255 (0.15 sh_0 + 0.5)): sh_0 from -3.3 to 3.3 |
| scale | 3 | round(16 (log_scale + 10)): from exp(-10) to exp(5.9) |
| rotation | 4, in version 2: 3 | see below |
| harmonics | 3 per coefficient of degree >= 1 | round(128 sh) + 128, coefficient by coefficient, red green blue |

Rotation, version 3 and 4: the component of (x, y, z, w) with the largest magnitude is left out and made positive; its
index is in the two highest bits of a 32-bit number, the others follow in order, each a sign bit and a magnitude of nine
bits in units of sqrt(1/2) / 511. Version 2: x, y, z as round(127.5 q + 127.5) with w positive.

Harmonics are rounded to 5 bits (degree 1) and 4 bits (higher degrees) on writing, which costs little and compresses
better; readers need not know.

Axes: files are RUB (x right, y up, z back). Scenes here, like .ply files, are RDF (x right, y down, z forward), so
y and z change their sign, x of quaternions stays, and harmonics that are odd in y z change theirs.

Version 2 and 3 are one gzip stream with a 16-byte header: magic "NGSP", version, count (u32 each), SH degree,
fractional bits, flags (1: antialiased, 2: extensions follow), 0. Version 4 is not compressed as a whole: a 32-byte
header (the same fields, then the number of streams, the offset of the table of streams (u32), 12 zeros), extensions,
the table (compressed and plain size of each stream, u64), and one zstd stream for each attribute that has any bytes.

Decoded values are computed in double precision and rounded once, so that other languages get the same float32.

Source: Niantic Labs, "spz" (README, file format and extensions of versions 2 to 4).
"""

import os
import struct
import zlib
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy import ndarray

from recon.errors import ReconError
from recon.files import atomic_write, read_bytes
from recon.splats.formats.limits import (
    MAX_SPLATS,
    arrays_to_write,
    blocks,
    byte_opacities,
    byte_opacity_logits,
    check_arrays,
    check_count,
)
from recon.splats.gaussians import Gaussians

_MAGIC = b"NGSP"
_GZIP = b"\x1f\x8b"
_HEADER = struct.Struct("<4sIIBBBB")
_HEADER_V4_REST = struct.Struct("<I12x")
_STREAM = struct.Struct("<QQ")
_HAS_EXTENSIONS = 2

_COLOR_SCALE = 0.15
_SH1_BUCKET = 1 << (8 - 5)
_SH_REST_BUCKET = 1 << (8 - 4)
_LARGEST_FIXED = (1 << 23) - 1
_MAX_FRACTIONAL_BITS = 23

_COORDINATE_SYSTEM_EXTENSION = 0xADBE0003
_RUB = 4

_MAX_EXPANSION = 32
_ALWAYS_ALLOWED = 16 << 20
"""A file may unpack to 32 times its size or to 16 MB: real scenes reach 15 times, bombs a thousand times."""

_MAX_EXTENSIONS = 1 << 20

_STEP = 1 << 16
_ZSTD_WINDOW = 1 << 23
"""Window that all regular levels (1 to 19) of zstd stay within; larger ones are refused unless the data is large."""

FLIP_SH = np.array([1, -1, -1, 1, -1, 1, 1, -1, 1, -1, 1, -1, -1, 1, -1, 1], np.float32)
"""Sign of each harmonic when y and z change theirs; a coefficient's sign is its parity in y times its parity in z."""


def read_spz(path: str | os.PathLike[str]) -> Gaussians:
    """Read a .spz file of version 2, 3 or 4.

    Raises:
        ReconError: when the file is missing, damaged, too large, or of another version.
    """
    return decode_spz(read_bytes(path, MAX_SPLATS * 65), str(path))


def write_spz(path: str | os.PathLike[str], gaussians: Gaussians, version: Literal[3, 4] = 3) -> None:
    """Write a .spz file.

    Args:
        version: 3 is read by every viewer that reads .spz; 4 unpacks faster, but only recent ones know it.

    Raises:
        ReconError: when the Gaussians hold NaN or infinity or lie too far out, or the file cannot be written.
    """
    arrays = arrays_to_write(path, gaussians)
    fractional_bits = _choose_fractional_bits(path, arrays["means"])
    attributes = _pack(arrays, fractional_bits)
    header = (_MAGIC, version, len(gaussians), gaussians.sh_degree, fractional_bits, 0)
    with atomic_write(path) as file:
        if version == 3:
            # wbits 31 is gzip; its header then holds no time stamp, so that equal scenes give equal files.
            compressor = zlib.compressobj(6, wbits=31)
            file.write(compressor.compress(_HEADER.pack(*header, 0)))
            for attribute in attributes:
                file.write(compressor.compress(attribute.data))
            file.write(compressor.flush())
        else:
            import zstandard

            attributes = [attribute for attribute in attributes if len(attribute)]
            streams = [
                zstandard.ZstdCompressor(level=12).compress(attribute.data) for attribute in attributes
            ]
            table_offset = _HEADER.size + _HEADER_V4_REST.size
            file.write(_HEADER.pack(*header, len(streams)) + _HEADER_V4_REST.pack(table_offset))
            for stream, attribute in zip(streams, attributes, strict=True):
                file.write(_STREAM.pack(len(stream), len(attribute)))
            for stream in streams:
                file.write(stream)


def decode_spz(content: bytes, source: str) -> Gaussians:
    """Decode the content of a .spz file.

    Allocates the unpacked bytes (at most 32 times the file, or 16 MB) and up to four times as much for the numbers,
    and only after the file has proved to hold them.

    Args:
        source: what to call the file in errors.

    Raises:
        ReconError: as `read_spz`.
    """
    if content[:2] == _GZIP:
        header, attributes = _unpack_gzip(content, source)
    elif content[:4] == _MAGIC:
        header, attributes = _unpack_zstd(content, source)
    else:
        raise ReconError(f"{source} is not a .spz file: it starts with neither a gzip nor an NGSP header")
    return _decode(header, attributes, source)


@dataclass
class _Header:
    version: int
    count: int
    degree: int
    fractional_bits: int
    flags: int
    streams: int  # 0 before version 4

    @property
    def sizes(self) -> list[int]:
        """Bytes of positions, opacities, colours, scales, rotations and harmonics."""
        rotation = 3 if self.version == 2 else 4
        return [self.count * width for width in (9, 1, 3, 3, rotation, 3 * ((self.degree + 1) ** 2 - 1))]


def _parse_header(content: bytes, versions: tuple[int, ...], source: str, file_size: int) -> _Header:
    if len(content) < _HEADER.size:
        raise ReconError(f"{source} is cut off within its header")
    magic, *fields = _HEADER.unpack_from(content)
    header = _Header(*fields)
    if magic != _MAGIC:
        raise ReconError(f"{source} is not a .spz file: its header does not say NGSP")
    if header.version not in versions:
        raise ReconError(f"{source} is .spz version {header.version}; versions 2, 3 and 4 are read")
    if header.degree > 3:
        raise ReconError(f"{source} has harmonics of degree {header.degree}; degrees 0 to 3 are read")
    if header.fractional_bits > _MAX_FRACTIONAL_BITS:
        raise ReconError(
            f"{source} is damaged: positions cannot have {header.fractional_bits} fractional bits"
        )
    check_count(source, header.count)
    if sum(header.sizes) > max(_ALWAYS_ALLOWED, _MAX_EXPANSION * file_size):
        raise ReconError(
            f"{source} states {header.count} Gaussians, more than its {file_size} bytes can hold; it is damaged"
        )
    return header


def _unpack_gzip(content: bytes, source: str) -> tuple[_Header, list[ndarray]]:
    """Inflate step by step, never further than the header (once inflated) allows."""
    stream = zlib.decompressobj(wbits=31)
    try:
        start = stream.decompress(content, _HEADER.size)
        header = _parse_header(start, (2, 3), source, len(content))
        expected = sum(header.sizes)
        # max_length bounds the output; one byte more would tell that the file holds more than it says.
        body = stream.decompress(stream.unconsumed_tail, expected)
        extensions = stream.decompress(stream.unconsumed_tail, _MAX_EXTENSIONS)
    except zlib.error:
        raise ReconError(f"{source} is damaged: it cannot be decompressed") from None
    if len(body) < expected or not stream.eof:
        raise ReconError(f"{source} is cut off or damaged: {expected} bytes expected, {len(body)} found")
    if header.flags & _HAS_EXTENSIONS:
        _check_axes(extensions, source)
    return header, _split(np.frombuffer(body, np.uint8), header.sizes)


def _unpack_zstd(content: bytes, source: str) -> tuple[_Header, list[ndarray]]:
    header = _parse_header(content, (4,), source, len(content))
    sizes = header.sizes
    used = [size for size in sizes if size]
    start = _HEADER.size + _HEADER_V4_REST.size
    if len(content) < start:
        raise ReconError(f"{source} is cut off within its header")
    (table,) = _HEADER_V4_REST.unpack_from(content, _HEADER.size)
    offset = table + _STREAM.size * header.streams
    if header.streams != len(used) or not start <= table <= offset <= len(content):
        raise ReconError(f"{source} is damaged: its table of {header.streams} streams does not fit")
    if header.flags & _HAS_EXTENSIONS:
        _check_axes(content[start:table], source)
    attributes = []
    for index, size in enumerate(used):
        compressed, plain = _STREAM.unpack_from(content, table + _STREAM.size * index)
        if plain != size or compressed > len(content) - offset:
            raise ReconError(f"{source} is damaged: stream {index} does not have the size of its attribute")
        data = _inflate_zstd(content[offset : offset + compressed], size)
        if data is None:
            raise ReconError(
                f"{source} is damaged: stream {index} does not hold the {size} bytes of its attribute"
            )
        attributes.append(np.frombuffer(data, np.uint8))
        offset += compressed
    if not sizes[-1]:
        attributes.append(np.empty(0, np.uint8))
    return header, attributes


def _inflate_zstd(stream: bytes, size: int) -> bytearray | None:
    """Return the `size` bytes of a zstd stream, or None when it holds anything else."""
    import zstandard

    data = bytearray()
    decompressor = zstandard.ZstdDecompressor(max_window_size=max(_ZSTD_WINDOW, size))
    try:
        # In small steps, so that memory follows what the stream holds and not what it claims.
        with decompressor.stream_reader(stream) as reader:
            while len(data) <= size and (chunk := reader.read(min(_STEP, size + 1 - len(data)))):
                data += chunk
    except zstandard.ZstdError:
        return None
    return data if len(data) == size else None


def _check_axes(extensions: bytes, source: str) -> None:
    """Refuse files that say they use other axes; skip every other extension."""
    offset = 0
    while len(extensions) - offset >= 8:
        kind, size = struct.unpack_from("<II", extensions, offset)
        payload = extensions[offset + 8 : offset + 8 + size]
        if kind == _COORDINATE_SYSTEM_EXTENSION and payload[:4] != struct.pack("<I", _RUB):
            raise ReconError(
                f"{source} uses other axes than right, up, back: save it with those, then open it again"
            )
        offset += 8 + size


def _split(data: ndarray, sizes: list[int]) -> list[ndarray]:
    return np.split(data, np.cumsum(sizes)[:-1])


def _decode(header: _Header, attributes: list[ndarray], source: str) -> Gaussians:
    count, coefficients = header.count, (header.degree + 1) ** 2
    positions, opacities, colors, scales, rotations, harmonics = (
        attribute.reshape(count, len(attribute) // count) for attribute in attributes
    )
    arrays = {
        "means": np.empty((count, 3), np.float32),
        "log_scales": np.empty((count, 3), np.float32),
        "quaternions": np.empty((count, 4), np.float32),
        "opacity_logits": np.empty(count, np.float32),
        "sh": np.empty((count, coefficients, 3), np.float32),
    }
    unpack_rotations = _unpack_first_three if header.version == 2 else _unpack_smallest_three
    for part in blocks(count):
        arrays["means"][part] = _from_fixed(positions[part]) * [1, -1, -1] * 2.0**-header.fractional_bits
        arrays["log_scales"][part] = _LOG_SCALES[scales[part]]
        arrays["quaternions"][part] = unpack_rotations(rotations[part])[:, [3, 0, 1, 2]] * [1, 1, -1, -1]
        arrays["opacity_logits"][part] = byte_opacity_logits(opacities[part, 0])
        arrays["sh"][part, 0] = _COLORS[colors[part]]
        higher = arrays["sh"][part, 1:]
        higher[:] = _HARMONICS[harmonics[part]].reshape(higher.shape)
        higher *= FLIP_SH[1:coefficients, None]
    check_arrays(source, arrays)
    return Gaussians(**{name: torch.from_numpy(array) for name, array in arrays.items()})


def _pack(arrays: dict[str, ndarray], fractional_bits: int) -> list[ndarray]:
    """Return the bytes of positions, opacities, colours, scales, rotations and harmonics."""
    count, coefficients = arrays["sh"].shape[:2]
    widths = (9, 1, 3, 3, 4, 3 * (coefficients - 1))
    positions, opacities, colors, scales, rotations, harmonics = (
        np.empty((count, w), np.uint8) for w in widths
    )
    buckets = np.where(np.arange(1, coefficients) < 4, _SH1_BUCKET, _SH_REST_BUCKET)[:, None]
    for part in blocks(count):
        fixed = np.rint(arrays["means"][part] * [1, -1, -1] * 2.0**fractional_bits).astype("<i4")
        positions[part] = fixed.view(np.uint8).reshape(-1, 3, 4)[:, :, :3].reshape(-1, 9)
        opacities[part, 0] = byte_opacities(arrays["opacity_logits"][part])
        colors[part] = np.clip(
            np.rint(255 * (_COLOR_SCALE * arrays["sh"][part, 0].astype(np.float64) + 0.5)), 0, 255
        )
        scales[part] = np.clip(np.rint(16 * (arrays["log_scales"][part] + 10)), 0, 255)
        rotations[part] = _pack_smallest_three(
            (arrays["quaternions"][part] * [1, 1, -1, -1])[:, [1, 2, 3, 0]]
        )
        block = arrays["sh"][part, 1:] * FLIP_SH[1:coefficients, None]
        level = np.rint(128 * np.clip(block, -1, 1)) + 128
        level = np.floor((level + buckets // 2) / buckets) * buckets
        harmonics[part] = np.clip(level, 0, 255).reshape(len(level), widths[5])
    return [a.reshape(-1) for a in (positions, opacities, colors, scales, rotations, harmonics)]


def _choose_fractional_bits(path: object, means: ndarray) -> int:
    """Return the most fractional bits with which the outermost Gaussian still fits into 24 bits."""
    extent = float(np.abs(means).max())
    for bits in range(_MAX_FRACTIONAL_BITS, -1, -1):
        if extent * 2.0**bits <= _LARGEST_FIXED:
            return bits
    raise ReconError(
        f"{path} was not written: a Gaussian lies {extent:.3g} units out, and .spz ends at {_LARGEST_FIXED}; "
        "write .ply, or remove far Gaussians"
    )


def _from_fixed(data: ndarray) -> ndarray:
    """Return signed 24-bit integers as float64 [N, 3]."""
    padded = np.zeros((len(data), 3, 4), np.uint8)
    padded[:, :, 1:] = data.reshape(-1, 3, 3)
    return padded.view("<i4")[:, :, 0] / 256.0  # the highest byte carries the sign


def _pack_smallest_three(quaternions: ndarray) -> ndarray:
    """Return 4 bytes per (x, y, z, w) quaternion."""
    norm = np.linalg.norm(quaternions, axis=1, keepdims=True)
    quaternions = np.where(norm > 0, quaternions / np.maximum(norm, 1e-300), [0.0, 0.0, 0.0, 1.0])
    rows = np.arange(len(quaternions))
    largest = np.abs(quaternions).argmax(axis=1)
    quaternions = quaternions * np.where(quaternions[rows, largest] < 0, -1.0, 1.0)[:, None]
    others = quaternions[rows[:, None], _OTHERS[largest]]
    magnitudes = np.minimum(np.floor(511 * np.abs(others) * np.sqrt(2.0) + 0.5), 511).astype(np.uint32)
    words = magnitudes | ((others < 0).astype(np.uint32) << 9)
    packed = largest.astype(np.uint32) << 30 | words[:, 0] << 20 | words[:, 1] << 10 | words[:, 2]
    return packed.astype("<u4").view(np.uint8).reshape(-1, 4)


def _unpack_smallest_three(data: ndarray) -> ndarray:
    """Return (x, y, z, w) float64 from 4 bytes each."""
    packed = np.ascontiguousarray(data).view("<u4")[:, 0]
    largest = packed >> 30
    words = np.stack([packed >> 20, packed >> 10, packed], axis=1) & 1023
    others = (words & 511) * (np.sqrt(0.5) / 511) * np.where(words & 512, -1.0, 1.0)
    quaternions = np.empty((len(data), 4))
    rows = np.arange(len(data))
    quaternions[rows[:, None], _OTHERS[largest]] = others
    quaternions[rows, largest] = np.sqrt(np.maximum(0.0, 1.0 - (others**2).sum(axis=1)))
    return quaternions


def _unpack_first_three(data: ndarray) -> ndarray:
    """Return (x, y, z, w) float64 from 3 bytes each."""
    xyz = data / 127.5 - 1.0
    w = np.sqrt(np.maximum(0.0, 1.0 - (xyz**2).sum(axis=1, keepdims=True)))
    return np.concatenate([xyz, w], axis=1)


_LOG_SCALES = (np.arange(256) / 16 - 10).astype(np.float32)
_COLORS = ((np.arange(256) / 255 - 0.5) / _COLOR_SCALE).astype(np.float32)
_HARMONICS = (np.arange(256) / 128 - 1).astype(np.float32)

_OTHERS = np.array([[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]])
"""The components that are kept when the one with this index is left out."""
