"""Reading a PNG that anybody may have made: its header and chunks are checked before any pixel is decoded.

Source: W3C, Portable Network Graphics (PNG) Specification, sections 5.2 (signature), 5.3 (chunks), 11.2.2 (IHDR).
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

SIGNATURE = b"\x89PNG\r\n\x1a\n"

MAX_CHUNKS = 20_000
"""Encoders cut the 5.8 MB of a 1600x1200 picture into some 700; millions of empty ones take minutes to follow."""

MAX_SIDE_CHUNKS = 100
"""Texts, times, colour profiles: each may be packed, and a decoder unpacks up to 1 MB of every one."""

_OTHER_FORMATS = {
    b"\xff\xd8\xff": "JPEG",
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"RIFF": "WebP",
    b"\x76\x2f\x31\x01": "OpenEXR",
    b"PK\x03\x04": "zip",
}

_COLOR_TYPES = {0: "grey", 2: "RGB", 3: "palette", 4: "grey with transparency", 6: "RGBA"}

_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""First column and row, and steps, of the seven passes of an interlaced picture (section 8.2)."""


class UnfitPictureError(Exception):
    """A picture is not what was asked for; `kind` as in `Finding.kind`."""

    def __init__(self, kind: str, sentence: str) -> None:
        super().__init__(sentence)
        self.kind = kind


def read_png(content: bytes, size: tuple[int, int]) -> Image:
    """Decode a PNG that must be 8-bit RGB of exactly `size` (width, height).

    Raises:
        UnfitPictureError: when it is anything else, or damaged.
    """
    _check_type(content)
    _check_header(content, size)
    _check_chunks(content)
    _check_pixels(content)
    return _decode(content, size)


def _check_type(content: bytes) -> None:
    if content.startswith(SIGNATURE):
        return
    if not content:
        raise UnfitPictureError("damaged picture", "the file is empty: write it again")
    if SIGNATURE.startswith(content):
        raise UnfitPictureError("truncated picture", f"it ends after {len(content)} bytes: write it again")
    for start, format_name in _OTHER_FORMATS.items():
        if content.startswith(start):
            raise UnfitPictureError(
                "wrong file type",
                f"its content is {format_name}, not PNG: write it as PNG; renaming is not enough",
            )
    raise UnfitPictureError(
        "wrong file type", "its content is not PNG: write it as PNG; renaming is not enough"
    )


def _check_header(content: bytes, size: tuple[int, int]) -> None:
    """Check width, height and colours from the first chunk, before anything is believed or decoded."""
    if len(content) < 33:
        raise UnfitPictureError("truncated picture", f"it ends after {len(content)} bytes: write it again")
    length, name = struct.unpack(">I4s", content[8:16])
    if name != b"IHDR" or length != 13:
        raise UnfitPictureError("damaged picture", "it does not begin with a PNG header: write it again")
    width, height, depth, color, compression, filtering, interlace = struct.unpack(">IIBBBBB", content[16:29])
    if (width, height) != size:
        raise UnfitPictureError(
            "wrong size", f"it has {width}x{height} pixels: render it at {size[0]}x{size[1]}, at full size"
        )
    if color != 2 or depth != 8:
        kind = _COLOR_TYPES.get(color, f"colour type {color}")
        raise UnfitPictureError(
            "not 8-bit RGB", f"it is {kind} with {depth} bits per channel: write it as RGB with 8 bits"
        )
    if compression != 0 or filtering != 0 or interlace not in (0, 1):
        raise UnfitPictureError(
            "damaged picture", "its header names methods that PNG does not have: write it again"
        )


def _check_chunks(content: bytes) -> None:
    """Follow the chunks to the end and compare their checksums."""
    names = set()
    side = 0
    for number, (name, _, ends, sound) in enumerate(_chunks(content)):
        side += name[0].islower()
        if number > MAX_CHUNKS or side > MAX_SIDE_CHUNKS:
            raise UnfitPictureError(
                "damaged picture",
                "it has far more chunks than any encoder makes: write it again, without metadata",
            )
        if not ends:
            raise UnfitPictureError(
                "truncated picture", f"it ends inside of its chunk {name}: write it again, or copy it whole"
            )
        if not sound:
            raise UnfitPictureError(
                "damaged picture", f"the checksum of its chunk {name} is wrong: write it again"
            )
        names.add(name)
    if "IEND" not in names:
        raise UnfitPictureError("truncated picture", "it has no end: write it again, or copy it whole")
    if "tRNS" in names:
        raise UnfitPictureError("not 8-bit RGB", "it has a transparent colour: write it without transparency")
    if "acTL" in names:
        raise UnfitPictureError("wrong file type", "it is an animation: write it as a still PNG")


def _check_pixels(content: bytes) -> None:
    """Count the pixel data: decoders silently leave rows black that are not there."""
    width, height, _, _, _, _, interlace = struct.unpack(">IIBBBBB", content[16:29])
    passes = _ADAM7 if interlace else ((0, 0, 1, 1),)
    sizes = [(len(range(x, width, dx)), len(range(y, height, dy))) for x, y, dx, dy in passes]
    expected = sum(rows * (1 + 3 * columns) for columns, rows in sizes if columns)
    inflater = zlib.decompressobj()
    found = 0
    try:
        for name, data, _, _ in _chunks(content):
            packed = bytes(data) if name == "IDAT" else b""
            while packed and not inflater.eof and found <= expected:
                found += len(inflater.decompress(packed, 1 << 20))
                packed = inflater.unconsumed_tail
        while not inflater.eof and found <= expected and (rest := inflater.decompress(b"", 1 << 20)):
            found += len(rest)
    except zlib.error as error:
        raise UnfitPictureError(
            "damaged picture", f"its pixel data cannot be unpacked ({error}): write it again"
        ) from None
    if found > expected:
        raise UnfitPictureError("damaged picture", "it holds more pixel data than pixels: write it again")
    if found < expected or not inflater.eof:
        raise UnfitPictureError(
            "truncated picture", f"it holds {100 * found // expected} % of its pixel data: write it again"
        )


def _chunks(content: bytes) -> Iterator[tuple[str, memoryview, bool, bool]]:
    """Yield every chunk's name and content, whether it ends within the file, and whether its checksum is right."""
    view = memoryview(content)
    position = len(SIGNATURE)
    while position < len(view):
        length = int.from_bytes(view[position : position + 4], "big")
        name = bytes(view[position + 4 : position + 8])
        end = position + 12 + length
        shown = name.decode("ascii", errors="replace") if name.isalpha() else "(header)"
        if end > len(view):
            yield shown, view[0:0], False, False
            return
        stated = int.from_bytes(view[end - 4 : end], "big")
        sound = stated == zlib.crc32(view[position + 4 : end - 4])
        yield shown, view[position + 8 : end - 4], True, sound
        if name == b"IEND":
            return
        position = end


def _decode(content: bytes, size: tuple[int, int]) -> Image:
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            picture = Image.open(io.BytesIO(content), formats=["PNG"])
            if picture.size == size:
                picture.load()
    except Exception as error:  # Pillow's decoders raise many kinds
        kind = "truncated picture" if "truncated" in str(error) else "damaged picture"
        raise UnfitPictureError(kind, f"its pixels cannot be decoded ({error}): write it again") from None
    if picture.size != size or picture.mode != "RGB":
        raise UnfitPictureError("damaged picture", "it has two headers that differ: write it again")
    return picture
