"""The codecs of sections: bytes in, fewer bytes out, and back without ever unpacking more than was stated."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
from numpy import ndarray

from recon.errors import ReconError
from recon.streaming.layout import Codec
from recon.streaming.rans import rans_decode, rans_encode

ALL_CODECS = (Codec.RAW, Codec.DEFLATE, Codec.ZSTD, Codec.RANS)

_ZSTD_LEVEL = 9
_ZSTD_WINDOW = 1 << 23
_RANS_BONUS = 0.98
"""A codec that saves less than two percent against rANS is not worth its slower decoding in a browser."""


def compress(content: bytes, columns: int, allowed: Sequence[Codec] = ALL_CODECS) -> tuple[Codec, bytes]:
    """Return `content` by the allowed codec that makes it smallest; raw where none helps.

    Args:
        columns: period of the content's bytes, for rANS.
    """
    best: tuple[Codec, bytes] = (Codec.RAW, content)
    least = float(len(content))
    for codec in sorted(allowed, reverse=True) if content else []:
        stored = _ENCODERS[codec](content, columns)
        if len(stored) < least:
            best = codec, stored
            least = len(stored) * (_RANS_BONUS if codec is Codec.RANS else 1.0)
    return best


def decompress(codec: int, stored: bytes, size: int) -> ndarray:
    """Return the `size` bytes that were compressed, as uint8.

    Raises:
        ReconError: when the codec is unknown or the bytes hold anything else; the message goes on after the name of
            what they are.
    """
    if codec == Codec.RAW:
        content = stored if len(stored) == size else None
    elif codec == Codec.DEFLATE:
        content = _inflate(stored, size)
    elif codec == Codec.ZSTD:
        content = _inflate_zstd(stored, size)
    elif codec == Codec.RANS:
        (decoded,) = rans_decode([stored], [size])
        if isinstance(decoded, str):
            raise ReconError(decoded)
        return decoded
    else:
        raise ReconError(f"uses codec {codec}, which this version does not know; a newer recon may read it")
    if content is None:
        raise ReconError(f"does not unpack to the {size} bytes that it states")
    return np.frombuffer(content, np.uint8)


def _deflate(content: bytes, _columns: int) -> bytes:
    compressor = zlib.compressobj(9, wbits=-15)
    return compressor.compress(content) + compressor.flush()


def _compress_zstd(content: bytes, _columns: int) -> bytes:
    import zstandard

    return zstandard.ZstdCompressor(level=_ZSTD_LEVEL, write_content_size=True).compress(content)


def _compress_rans(content: bytes, columns: int) -> bytes:
    return rans_encode(np.frombuffer(content, np.uint8), columns)


_ENCODERS = {
    Codec.RAW: lambda content, _columns: content,
    Codec.DEFLATE: _deflate,
    Codec.ZSTD: _compress_zstd,
    Codec.RANS: _compress_rans,
}


def _inflate(stored: bytes, size: int) -> bytes | None:
    stream = zlib.decompressobj(wbits=-15)
    try:
        content = stream.decompress(stored, size + 1)  # one more tells that there is too much
    except zlib.error:
        return None
    return content if stream.eof and len(content) == size and not stream.unused_data else None


def _inflate_zstd(stored: bytes, size: int) -> bytes | None:
    import zstandard

    decompressor = zstandard.ZstdDecompressor(max_window_size=max(_ZSTD_WINDOW, size))
    content = bytearray()
    try:
        with decompressor.stream_reader(stored) as reader:
            while len(content) <= size and (piece := reader.read(min(1 << 20, size + 1 - len(content)))):
                content += piece
    except zstandard.ZstdError:
        return None
    return bytes(content) if len(content) == size else None
