"""The container: files of records, records of sections. It knows lengths and checksums, not what sections mean."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from numpy import ndarray

from recon.errors import ReconError
from recon.streaming.codecs import ALL_CODECS, compress, decompress
from recon.streaming.integers import NO_LAYOUT, Layout
from recon.streaming.layout import (
    ANCILLARY_FLAG,
    ATTRIBUTES,
    FILE_MAGIC,
    FREE_EXPANSION,
    MAX_EXPANSION,
    MAX_RECORD,
    MAX_ROWS,
    MAX_SECTIONS,
    MAX_SEGMENT_RECORDS,
    PREVIEW_FLAG,
    RECORD_MAGIC,
    VERSION,
    Codec,
    FileKind,
    RecordKind,
    SectionId,
)
from recon.streaming.rans import rans_decode

_FILE = struct.Struct("<8sHHI")
_RECORD = struct.Struct("<4sIIBBHIIIIII")
_SECTION = struct.Struct("<HBBIIBBBB")
_CRC_START = 12

FILE_HEADER_BYTES = _FILE.size
RECORD_HEADER_BYTES = _RECORD.size
SECTION_HEADER_BYTES = _SECTION.size

_KNOWN = (
    {int(section) for section in SectionId}
    | {SectionId.VALUES + a for a in range(6)}
    | {base + a for base in (SectionId.ATTRIBUTE_MASK, SectionId.LATENTS) for a in range(1, 6)}
) - {int(SectionId.ATTRIBUTE_MASK), int(SectionId.LATENTS)}


@dataclass
class Section:
    """A section as it is stored.

    Attributes:
        size: bytes once unpacked.
    """

    id: int
    codec: int
    flags: int
    size: int
    layout: Layout
    stored: bytes


@dataclass
class Record:
    """A frame as it is stored: a keyframe, or what changes from the frame before.

    Attributes:
        rows_before: Gaussians of the state that it changes; 0 for keyframes.
        rows: Gaussians of the state that it leads to.
        checksum: of the state that it leads to.
    """

    kind: RecordKind
    degree: int
    frame: int
    rows_before: int
    rows: int
    flags: int = 0
    checksum: tuple[int, int] = (0, 0)
    sections: dict[int, Section] = field(default_factory=dict)
    _unpacked: dict[int, ndarray] = field(default_factory=dict)

    @property
    def preview(self) -> bool:
        return bool(self.flags & PREVIEW_FLAG)

    def add(
        self,
        id: int,
        content: bytes,
        layout: Layout = NO_LAYOUT,
        codecs: Sequence[Codec] = ALL_CODECS,
        flags: int = 0,
    ) -> None:
        """Add a section by the codec that makes it smallest."""
        codec, stored = compress(content, max(1, layout.columns * layout.width), codecs)
        self.sections[int(id)] = Section(int(id), codec, flags, len(content), layout, stored)

    def unpack(self, id: int) -> tuple[ndarray, Layout] | None:
        """Return the content of a section, or None where there is none."""
        section = self.sections.get(int(id))
        if section is None:
            return None
        content = self._unpacked.pop(int(id), None)
        if content is None:
            content = decompress(section.codec, section.stored, section.size)
        return content, section.layout

    def unpack_rans(self) -> None:
        """Decode all sections of rANS at once, for `unpack`: that takes half as long as one after the other."""
        coded = [section for section in self.sections.values() if section.codec == Codec.RANS]
        decoded = rans_decode([section.stored for section in coded], [section.size for section in coded])
        for section, content in zip(coded, decoded, strict=True):
            if not isinstance(content, str):  # what is damaged is told where it is needed
                self._unpacked[section.id] = content

    def name(self, id: int) -> str:
        """Return what to call a section in errors."""
        return f"section {section_name(id)} of frame {self.frame}"

    def to_bytes(self) -> bytes:
        """Return the record, its length and checksum filled in."""
        parts = []
        for section in sorted(self.sections.values(), key=lambda one: one.id):
            layout = section.layout
            head = (section.id, section.codec, section.flags, section.size, len(section.stored))
            parts += [
                _SECTION.pack(*head, layout.width, layout.predictor, layout.columns, layout.shift),
                section.stored,
            ]
        body = b"".join(parts)
        length = RECORD_HEADER_BYTES + len(body)
        if length > MAX_RECORD:
            raise ReconError(f"frame {self.frame} takes {length} bytes; a record has at most {MAX_RECORD}")
        fields = (
            self.kind,
            self.degree,
            len(self.sections),
            self.frame,
            self.rows_before,
            self.rows,
            self.flags,
        )
        header = _RECORD.pack(RECORD_MAGIC, length, 0, *fields, *self.checksum)
        crc = zlib.crc32(body, zlib.crc32(header[_CRC_START:]))
        return header[:8] + crc.to_bytes(4, "little") + header[_CRC_START:] + body


def parse_record(content: bytes, source: str, start: int = 0) -> tuple[Record, int]:
    """Take the record at `start` apart; returns it and where the next one starts.

    Raises:
        ReconError: when it is cut off, damaged, or of a version that this one cannot read.
    """
    if len(content) - start < RECORD_HEADER_BYTES:
        raise ReconError(f"{source} is cut off within the header of a frame")
    magic, length, crc, kind, degree, count, frame, before, rows, flags, low, high = _RECORD.unpack_from(
        content, start
    )
    if magic != RECORD_MAGIC:
        raise ReconError(f"{source} is damaged: no frame starts at byte {start}")
    if not RECORD_HEADER_BYTES <= length <= min(MAX_RECORD, len(content) - start):
        raise ReconError(f"{source} is cut off: frame {frame} states {length} bytes")
    if zlib.crc32(memoryview(content)[start + _CRC_START : start + length]) != crc:
        raise ReconError(f"{source} is damaged: the bytes of frame {frame} do not have their checksum")
    if kind not in (RecordKind.KEYFRAME, RecordKind.RESIDUAL) or flags & ~PREVIEW_FLAG or degree > 3:
        raise ReconError(f"{source}: frame {frame} is of a kind that this version does not know")
    key = kind == RecordKind.KEYFRAME
    if (
        not 1 <= rows <= MAX_ROWS
        or not (before == 0 if key else 1 <= before <= MAX_ROWS)
        or (flags and not key)
    ):
        raise ReconError(
            f"{source}: frame {frame} leads from {before} to {rows} Gaussians; streams have 1 to {MAX_ROWS}"
        )
    record = Record(RecordKind(kind), degree, frame, before, rows, flags, (low, high))
    _parse_sections(record, content, start + RECORD_HEADER_BYTES, start + length, count, source)
    return record, start + length


def _parse_sections(record: Record, content: bytes, at: int, end: int, count: int, source: str) -> None:
    if count > MAX_SECTIONS:
        raise ReconError(f"{source}: frame {record.frame} states {count} sections; {MAX_SECTIONS} are read")
    room = FREE_EXPANSION + MAX_EXPANSION * (end - at)
    last = 0
    for _ in range(count):
        if end - at < SECTION_HEADER_BYTES:
            raise ReconError(f"{source} is cut off within the sections of frame {record.frame}")
        id, codec, flags, size, stored, *layout = _SECTION.unpack_from(content, at)
        at += SECTION_HEADER_BYTES
        room -= size
        if id <= last or stored > end - at or room < 0:
            raise ReconError(f"{source} is damaged: the sections of frame {record.frame} do not fit")
        last = id
        known = id in _KNOWN and codec in ALL_CODECS and not flags
        if known:
            record.sections[id] = Section(id, codec, flags, size, Layout(*layout), content[at : at + stored])
        elif not flags & ANCILLARY_FLAG:
            raise ReconError(
                f"{source}: section {id} of frame {record.frame} needs a newer version of recon than this one"
            )
        at += stored
    if at != end:
        raise ReconError(f"{source} is damaged: bytes follow the sections of frame {record.frame}")


def file_bytes(kind: FileKind, records: Sequence[bytes]) -> bytes:
    """Return a file of records."""
    return _FILE.pack(FILE_MAGIC, VERSION, kind, len(records)) + b"".join(records)


def parse_file(content: bytes, source: str) -> Iterator[tuple[Record, bytes]]:
    """Yield the records of a file and their bytes.

    Raises:
        ReconError: when the file is damaged or of another version; records before the damage have been yielded.
    """
    if len(content) < FILE_HEADER_BYTES:
        raise ReconError(f"{source} is cut off within its header")
    magic, version, kind, count = _FILE.unpack_from(content)
    if magic != FILE_MAGIC:
        raise ReconError(f"{source} is not a file of a recon stream")
    if version != VERSION:
        raise ReconError(f"{source} is of version {version}; version {VERSION} is read")
    limit = {FileKind.KEYFRAME: 1, FileKind.SEGMENT: MAX_SEGMENT_RECORDS}.get(kind, 0)
    if not 1 <= count <= limit:
        raise ReconError(f"{source} is damaged: a file of kind {kind} cannot hold {count} frames")
    at = FILE_HEADER_BYTES
    previous: Record | None = None
    for _ in range(count):
        start = at
        record, at = parse_record(content, source, at)
        if (record.kind == RecordKind.KEYFRAME) != (kind == FileKind.KEYFRAME):
            raise ReconError(f"{source} is damaged: frame {record.frame} is of another kind than its file")
        if previous is not None and (record.frame, record.rows_before) != (previous.frame + 1, previous.rows):
            raise ReconError(
                f"{source} is damaged: frame {record.frame} does not follow frame {previous.frame}"
            )
        previous = record
        yield record, content[start:at]
    if at != len(content):
        raise ReconError(f"{source} is damaged: bytes follow its last frame")


def section_name(id: int) -> str:
    """Return a section's number in words."""
    for base in (SectionId.LATENTS, SectionId.ATTRIBUTE_MASK, SectionId.VALUES):
        if base <= id < base + 6:
            return f"{base.name} of {ATTRIBUTES[id - base].name}".lower().replace("_", " ")
    return SectionId(id).name.lower().replace("_", " ") if id in _KNOWN else str(id)


def sizes(records: Iterable[Record]) -> dict[str, int]:
    """Return the stored bytes of each kind of section, headers included, and of the records' own headers."""
    totals: dict[str, int] = {"headers": 0}
    for record in records:
        totals["headers"] += RECORD_HEADER_BYTES
        for section in record.sections.values():
            name = section_name(section.id)
            if record.kind == RecordKind.RESIDUAL:
                name = name.replace("values", "births")
            totals[name] = totals.get(name, 0) + SECTION_HEADER_BYTES + len(section.stored)
    return totals
