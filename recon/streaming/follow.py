"""Following a stream's folder while it grows, whoever writes it: this process or another one.

A writer adds records to its journal, and now and then moves them into a segment, publishes the manifest and only then
empties the journal. So what the journal lacks is in the manifest's files; and what is read from the journal follows
the manifest that was there both before and after reading it.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from recon.errors import ReconError
from recon.files import read_bytes
from recon.streaming.layout import MAX_RECORD, RECORD_MAGIC
from recon.streaming.manifest import MANIFEST, KeyframeFile, Manifest, SegmentFile, digest, read_manifest
from recon.streaming.record import RECORD_HEADER_BYTES, Record, parse_file, parse_record
from recon.streaming.writer import JOURNAL

_HEADER = struct.Struct("<4sIIII")
"""Where a record says its length, its CRC-32 and its frame."""

_Signature = tuple[int, int, int]


@dataclass(frozen=True)
class FollowedRecord:
    """A record, in the order in which a player takes it.

    Attributes:
        kind: "residual"; "keyframe" of the frame whose residual came just before; "cut", a keyframe that nothing leads
            to; or "preview", a reduced keyframe.
        content: the record's bytes.
    """

    kind: Literal["residual", "keyframe", "cut", "preview"]
    frame: int
    content: bytes


class StreamReplacedError(ReconError):
    """The folder no longer holds the stream that was followed so far."""


class StreamFollower:
    """Reads what a stream gains, from the manifest's files and from the journal.

    Attributes:
        manifest: the newest that was read; None while there is none.
        next_frame: the first frame that was not yielded yet.
    """

    def __init__(self, folder: str | os.PathLike[str], start: int | None = 0) -> None:
        """Follow a folder; it need not be there yet.

        Args:
            start: the first frame to yield; None for the first that is in none of the manifest's files.
        """
        self.folder = Path(folder)
        self.manifest: Manifest | None = None
        self.next_frame = start or 0
        self._from_end = start is None
        self._seen_manifest: _Signature | None = None
        self._seen_journal: _Signature | None = None
        self._open: dict[int, int] = {}

    @property
    def ended(self) -> bool:
        """Everything was yielded, and nothing follows."""
        return (
            self.manifest is not None and not self.manifest.live and self.next_frame >= self.manifest.frames
        )

    def poll(self) -> Iterator[FollowedRecord]:
        """Yield what has come since the last poll, in order. What is yielded counts as taken.

        Raises:
            StreamReplacedError: when the folder holds another stream now.
            ReconError: when the manifest or a file of it is damaged.
        """
        while True:
            signature = _signature(self.folder / MANIFEST)
            if signature is None:
                if self.manifest is not None:
                    raise StreamReplacedError(f"{self.folder} no longer holds a stream")
                return
            if signature != self._seen_manifest:
                yield from self._take_files(read_manifest(self.folder))
                self._seen_manifest = signature
            records, seen = self._read_journal()
            if _signature(self.folder / MANIFEST) != signature:
                continue  # what was read may follow files that have just come
            for record in records:
                self._open[record.frame] = _crc(record.content)
                self.next_frame = record.frame + 1
                yield record
            self._seen_journal = seen
            return

    def _take_files(self, manifest: Manifest) -> Iterator[FollowedRecord]:
        """Yield the frames and keyframes that a new manifest adds."""
        before = self.manifest
        if before is None:
            if self._from_end:
                self.next_frame = manifest.frames
            new_keys = [] if self._from_end else manifest.keyframes
            new_segments: list[SegmentFile] = []
        else:
            if (
                manifest.keyframes[: len(before.keyframes)] != before.keyframes
                or manifest.segments[: len(before.segments)] != before.segments
            ):
                raise StreamReplacedError(f"{self.folder} holds another stream than before")
            new_keys = manifest.keyframes[len(before.keyframes) :]
            new_segments = manifest.segments[len(before.segments) :]
        for segment in new_segments:
            if segment.start < self.next_frame:
                self._compare(segment)
        self.manifest = manifest
        self._open = {frame: crc for frame, crc in self._open.items() if frame >= manifest.frames}
        yield from self._keyframes(new_keys, self.next_frame - 1)
        while self.next_frame < manifest.frames:
            residuals = manifest.segment_of(self.next_frame)
            if residuals is None:
                frame = self.next_frame
                self.next_frame += 1
                yield from self._keyframes(manifest.keyframes, frame, cut=True)
                continue
            for record, content in self._records(residuals):
                if record.frame == self.next_frame:
                    self.next_frame += 1
                    yield FollowedRecord("residual", record.frame, content)
                    yield from self._keyframes(manifest.keyframes, record.frame)
            if self.next_frame < residuals.start + residuals.frames:
                raise ReconError(f"{self.folder / residuals.name} does not hold the frames that it should")

    def _keyframes(
        self, files: list[KeyframeFile], frame: int, *, cut: bool = False
    ) -> Iterator[FollowedRecord]:
        """Yield the keyframes of a frame, the full one first."""
        of_frame = [file for file in files if file.frame == frame]
        for file in sorted(of_frame, key=lambda one: one.preview):
            for _, content in self._records(file):
                kind: Literal["preview", "cut", "keyframe"]
                kind = "preview" if file.preview else "cut" if cut else "keyframe"
                yield FollowedRecord(kind, frame, content)

    def _records(self, file: KeyframeFile | SegmentFile) -> Iterator[tuple[Record, bytes]]:
        path = self.folder / file.name
        content = read_bytes(path, file.bytes)
        if len(content) != file.bytes or digest(content) != file.sha256:
            raise ReconError(f"{path} is damaged: its bytes are not those that the manifest names")
        return parse_file(content, str(path))

    def _compare(self, segment: SegmentFile) -> None:
        """Make sure that a segment holds what was yielded from the journal."""
        for record, content in self._records(segment):
            if self._open.get(record.frame, _crc(content)) != _crc(content):
                raise StreamReplacedError(f"{self.folder}: frame {record.frame} is not what it was")

    def _read_journal(self) -> tuple[list[FollowedRecord], _Signature | None]:
        """Return the whole records that follow, and the journal's signature when nothing was left over in it."""
        # Opened without following a link, and without waiting where a pipe lies in its place.
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        try:
            descriptor = os.open(self.folder / JOURNAL, flags | getattr(os, "O_BINARY", 0))
        except OSError:
            return [], None
        found: list[FollowedRecord] = []
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            status = os.fstat(descriptor)
            seen = (status.st_ino, status.st_size, status.st_mtime_ns)
            if not stat.S_ISREG(status.st_mode) or seen == self._seen_journal:
                return [], seen
            at = 0
            while status.st_size - at >= RECORD_HEADER_BYTES:
                file.seek(at)
                magic, length, crc, _, frame = _HEADER.unpack(file.read(_HEADER.size).ljust(_HEADER.size))
                if magic != RECORD_MAGIC or not RECORD_HEADER_BYTES <= length <= MAX_RECORD:
                    return found, None
                expected = self.next_frame + len(found)
                if length > status.st_size - at:
                    break  # half a record: it is being written, or its writer has ended
                if frame > expected:
                    return found, None  # the manifest tells the rest in a moment
                if frame == expected:
                    file.seek(at)
                    content = _read(file, length)
                    try:
                        parse_record(content, str(self.folder / JOURNAL))
                    except ReconError:
                        return found, None
                    found.append(FollowedRecord("residual", frame, content))
                elif self._open.get(frame, crc) != crc:
                    raise StreamReplacedError(f"{self.folder}: frame {frame} is not what it was")
                at += length
        return found, seen


def _read(file, length: int) -> bytes:
    """Read so many bytes; fewer when the file ends before."""
    content = bytearray()
    while len(content) < length and (chunk := file.read(length - len(content))):
        content += chunk
    return bytes(content)


def _crc(content: bytes) -> int:
    return int(_HEADER.unpack_from(content)[2])


def _signature(path: Path) -> _Signature | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
