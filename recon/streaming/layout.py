"""The numbers of the stream format that both ends must agree on: docs/stream-format.md says what they mean."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

VERSION = 1
FILE_MAGIC = b"\x89RST\r\n\x1a\n"
RECORD_MAGIC = b"RFRM"

MAX_ROWS = 1 << 23
"""Most Gaussians in a stream (8.4 million), as many as the viewer's page opens."""

MAX_RECORD = 1 << 30
MAX_SECTIONS = 64
MAX_SEGMENT_RECORDS = 4096

FREE_EXPANSION = 16 << 20
MAX_EXPANSION = 64
"""The sections of a record may unpack to 16 MB plus 64 times the record: still frames reach that, bombs far more."""

UNITS = 1 << 23
"""Numbers of the state are n * 2^grid with |n| below this, so that float32 holds them, and their sums, exactly."""

GRID_RANGE = (-24, 8)
MAX_LATENTS = 64
MAX_CODE = (1 << 15) - 1
MAX_DECODER_SHIFT = 30

PREVIEW_FLAG = 1
"""Record flag: a reduced keyframe, to look at until the full one is there. No residual frame builds on it."""

ANCILLARY_FLAG = 1
"""Section flag: a reader that does not know the section skips it."""


class FileKind(IntEnum):
    KEYFRAME = 1
    SEGMENT = 2


class RecordKind(IntEnum):
    KEYFRAME = 1
    RESIDUAL = 2


class Codec(IntEnum):
    RAW = 0
    DEFLATE = 1
    ZSTD = 2
    RANS = 3


class SectionId(IntEnum):
    """Sections lie in ascending order of these in a record. `VALUES + a`, and so on, belong to attribute a."""

    GRIDS = 1
    DECODERS = 2
    ANCHORS = 3
    REMOVED = 4
    BIRTH_PARENTS = 5
    BIRTH_ANCHORS = 6
    ANCHOR_MASK = 7
    ANCHOR_MOTION = 8
    GATE_MASK = 9
    POSITIONS = 10
    ACTIVE_MASK = 11
    VALUES = 16
    ATTRIBUTE_MASK = 32
    LATENTS = 48


@dataclass(frozen=True)
class Attribute:
    """A group of numbers per Gaussian that has a grid and, but for the means, a decoder of its own.

    Attributes:
        index: its number in the format.
        array: the attribute of `Gaussians` that holds it.
        column: its first number in a row of that array (`sh` flattened to [N, 3 K]).
    """

    index: int
    name: str
    array: str
    column: int
    fixed_width: int | None

    def width(self, degree: int) -> int:
        """Return how many numbers a Gaussian has of it."""
        return 3 * ((degree + 1) ** 2 - 1) if self.fixed_width is None else self.fixed_width


ATTRIBUTES = (
    Attribute(0, "means", "means", 0, 3),
    Attribute(1, "log_scales", "log_scales", 0, 3),
    Attribute(2, "quaternions", "quaternions", 0, 4),
    Attribute(3, "opacity_logits", "opacity_logits", 0, 1),
    Attribute(4, "sh_base", "sh", 0, 3),
    Attribute(5, "sh_rest", "sh", 3, None),
)

ARRAYS = {"means": 3, "log_scales": 3, "quaternions": 4, "opacity_logits": 1, "sh": None}
"""Numbers per row of the state's arrays; `sh` has 3 (degree + 1)^2."""

CHECKSUM_COLUMNS = {"means": 0, "log_scales": 3, "quaternions": 6, "opacity_logits": 10, "sh": 11}
ANCHOR_COLUMN = 63


def attributes(degree: int) -> tuple[Attribute, ...]:
    """Return the attributes that Gaussians with harmonics of this degree have."""
    return ATTRIBUTES if degree > 0 else ATTRIBUTES[:-1]


def attribute(name: str) -> Attribute:
    """Return the attribute of this name."""
    return next(one for one in ATTRIBUTES if one.name == name)
