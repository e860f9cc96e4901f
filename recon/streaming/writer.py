"""Writing a stream frame by frame, so that a crash loses at most the frame in work."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from recon.errors import ReconError
from recon.files import atomic_write, read_bytes
from recon.streaming.apply import apply_record
from recon.streaming.codecs import ALL_CODECS
from recon.streaming.keyframe import decode_keyframe, encode_keyframe
from recon.streaming.layout import MAX_RECORD, MAX_SEGMENT_RECORDS, Codec, FileKind, RecordKind
from recon.streaming.manifest import (
    MANIFEST,
    NEAR,
    KeyframeFile,
    Manifest,
    SegmentFile,
    digest,
    file_name,
    read_manifest,
)
from recon.streaming.reader import StreamReader
from recon.streaming.record import Record, file_bytes, parse_record
from recon.streaming.residual import Residual, encode_residual
from recon.streaming.state import StreamState

JOURNAL = "open.records"
"""Frames that are written but not yet part of a segment, one record after the other."""


@dataclass
class StreamOptions:
    """How a stream is cut into files.

    Attributes:
        fps: frames per second at which it was recorded.
        segment_seconds: of residual frames in a file.
        keyframe_seconds: between keyframes, which are what seeking and joining late begin with.
        codecs: which may be used.
    """

    fps: float = 30.0
    segment_seconds: float = 0.5
    keyframe_seconds: float = 5.0
    codecs: Sequence[Codec] = ALL_CODECS
    title: str = ""
    licence: str = ""
    up: Sequence[float] = (0.0, -1.0, 0.0)
    near: float = NEAR
    cameras: Sequence[dict[str, Any]] = field(default_factory=tuple)

    @property
    def segment_frames(self) -> int:
        return min(MAX_SEGMENT_RECORDS, max(1, round(self.fps * self.segment_seconds)))

    @property
    def keyframe_frames(self) -> int:
        return max(1, round(self.fps * self.keyframe_seconds))


class StreamWriter:
    """Writes a stream into a folder; `state` is what a player has after the last frame.

    ```python
    writer = StreamWriter.create(folder, state, StreamOptions(fps=30))
    while frames:
        residual = ...  # what leads from writer.state to the next frame
        record = writer.append(residual)  # bytes, which a live server may push as they are
    writer.close()
    ```
    """

    def __init__(self, folder: Path, manifest: Manifest, state: StreamState, options: StreamOptions) -> None:
        self.folder = folder
        self.manifest = manifest
        self.state = state
        self.options = options
        self.pending: list[bytes] = []

    @classmethod
    def create(
        cls,
        folder: str | os.PathLike[str],
        state: StreamState,
        options: StreamOptions,
        preview: StreamState | None = None,
    ) -> StreamWriter:
        """Start a stream with frame 0.

        Raises:
            ReconError: when there is a stream in the folder, or it cannot be written.
        """
        path = Path(folder)
        if (path / MANIFEST).exists():
            raise ReconError(f"{path} already holds a stream: go on with it, or choose another folder")
        state.frame = 0
        writer = cls(path, _first_manifest(state, options), state, options)
        if preview is not None:
            preview.frame = 0
            writer._write_keyframe(preview, "preview")
        writer._write_keyframe(state, "key")
        writer._publish()
        return writer

    @classmethod
    def create_from_record(
        cls, folder: str | os.PathLike[str], content: bytes, options: StreamOptions, source: str
    ) -> StreamWriter:
        """Start a stream with a keyframe that was made elsewhere.

        Args:
            content: the bytes of the record of frame 0.
            source: what to call it in errors.

        Raises:
            ReconError: when it is damaged or not such a keyframe, or there is a stream in the folder.
        """
        path = Path(folder)
        if (path / MANIFEST).exists():
            raise ReconError(f"{path} already holds a stream: go on with it, or choose another folder")
        record = _only_record(content, source)
        if record.kind != RecordKind.KEYFRAME or record.preview or record.frame != 0:
            raise ReconError(f"{source} is not the keyframe of frame 0, which a stream starts with")
        state = _verified_keyframe(record, source)
        writer = cls(path, _first_manifest(state, options), state, options)
        writer._store_keyframe(content, state, "key")
        writer._publish()
        return writer

    @classmethod
    def resume(cls, folder: str | os.PathLike[str], options: StreamOptions) -> StreamWriter:
        """Go on with a stream after its last whole frame.

        Raises:
            ReconError: when the folder holds no stream, or a damaged one.
        """
        path = Path(folder)
        manifest = read_manifest(path)
        if manifest.frames == 0:
            raise ReconError(f"{path} holds a stream without any frame: encode it again")
        state = StreamReader(path).state_at(manifest.frames - 1)
        manifest.live = True
        writer = cls(path, manifest, state, options)
        journal = path / JOURNAL
        content = read_bytes(journal, MAX_RECORD) if journal.exists() else b""
        at = 0
        while at < len(content):
            try:
                record, end = parse_record(content, str(journal), at)
                if record.frame > state.frame:
                    apply_record(state, record, str(journal))
                    writer.pending.append(content[at:end])
            except ReconError:
                break  # the frame that was being written when the program ended
            at = end
        if state.broken:
            raise ReconError(
                f"{journal} does not follow the stream's last segment: delete it to go on without"
            )
        writer._write_journal()
        return writer

    def append(self, residual: Residual) -> bytes:
        """Write the next frame and move the state on; returns the record.

        The state is moved on by what the record decodes to, so it is what every player will have.

        Raises:
            ReconError: when a number leaves its range (the state is then broken), or the disk is full.
        """
        record = encode_residual(residual, self.state, self.state.frame + 1, codecs=self.options.codecs)
        parsed, _ = parse_record(record.to_bytes(), "the frame that was just made")
        apply_record(self.state, parsed, "the frame that was just made", verify=False)
        record.checksum = self.state.checksum()
        content = record.to_bytes()
        self._append_residual(content, self.state.frame % self.options.keyframe_frames == 0)
        return content

    def append_record(self, content: bytes, source: str) -> None:
        """Write a record that was made elsewhere, as it is.

        It may be the residual or the keyframe (a cut) of the next frame, or a keyframe or a preview of the last one,
        for players to start from. Where no keyframe comes for the time that the options name, one is made here.

        Args:
            content: the record's bytes.
            source: what to call it in errors.

        Raises:
            ReconError: when it is damaged or does not fit, or the disk is full. Nothing of it was written then, but the
                state may be broken or ahead of the folder: go on with `resume`.
        """
        record = _only_record(content, source)
        if record.kind == RecordKind.RESIDUAL:
            apply_record(self.state, record, source)
            last = max(file.frame for file in self.manifest.keyframes if not file.preview)
            self._append_residual(content, self.state.frame - last >= self.options.keyframe_frames)
            return
        state = _verified_keyframe(record, source)
        cut = record.frame == self.state.frame + 1 and not record.preview
        if cut:
            if state.degree != self.manifest.sh_degree:
                raise ReconError(f"{source} has harmonics of degree {state.degree}; the stream's is another")
            self._close_segment()
            self.state = state
        elif record.frame != self.state.frame:
            raise ReconError(f"{source} does not follow frame {self.state.frame}")
        elif any(
            (file.frame, file.preview) == (record.frame, record.preview) for file in self.manifest.keyframes
        ):
            return
        elif not record.preview and record.checksum != self.state.checksum():
            raise ReconError(f"{source} is not the state that the frames before it lead to")
        else:
            self._close_segment()
        self._store_keyframe(content, state, "preview" if record.preview else "key")
        self._publish()

    def cut(self, state: StreamState) -> bytes:
        """Make the next frame a keyframe that does not follow from the last, as at a change of scene.

        Afterwards rows may be in another order; returns the keyframe's record.
        """
        state.frame = self.state.frame + 1
        self._close_segment()
        self.state = state
        content = self._write_keyframe(state, "key")
        self._publish()
        return content

    def close(self) -> None:
        """Write what is pending and state that nothing follows."""
        self._close_segment()
        self.manifest.live = False
        self._publish()
        (self.folder / JOURNAL).unlink(missing_ok=True)

    def _append_residual(self, content: bytes, keyframe_due: bool) -> None:
        """Write the record that led to the state, and close the segment when it is time."""
        with open(self.folder / JOURNAL, "ab") as journal:
            journal.write(content)
            journal.flush()
            os.fsync(journal.fileno())
        self.pending.append(content)
        if keyframe_due or len(self.pending) >= self.options.segment_frames:
            self._close_segment()
            if keyframe_due:
                self._write_keyframe(self.state, "key")
            self._publish()

    def _close_segment(self) -> None:
        if not self.pending:
            return
        content = file_bytes(FileKind.SEGMENT, self.pending)
        count, start = len(self.pending), self.state.frame - len(self.pending) + 1
        name = self._write("segment", start, content)
        self.manifest.segments.append(SegmentFile(name, start, count, len(content), digest(content)))
        self.pending = []

    def _write_keyframe(self, state: StreamState, kind: Literal["key", "preview"]) -> bytes:
        record = encode_keyframe(state, preview=kind == "preview", codecs=self.options.codecs).to_bytes()
        self._store_keyframe(record, state, kind)
        return record

    def _store_keyframe(self, record: bytes, state: StreamState, kind: Literal["key", "preview"]) -> None:
        content = file_bytes(FileKind.KEYFRAME, [record])
        name = self._write(kind, state.frame, content)
        file = KeyframeFile(name, state.frame, len(content), digest(content), len(state))
        self.manifest.keyframes.append(file)

    def _write(self, kind: Literal["key", "preview", "segment"], frame: int, content: bytes) -> str:
        name = file_name(kind, frame, digest(content))
        with atomic_write(self.folder / name) as file:
            file.write(content)
        return name

    def _publish(self) -> None:
        """Let readers know of the files; only then the journal may forget their frames."""
        self.manifest.frames = self.state.frame + 1
        self.manifest.max_gaussians = max(self.manifest.max_gaussians, len(self.state))
        self.manifest.write(self.folder)
        self._write_journal()

    def _write_journal(self) -> None:
        with atomic_write(self.folder / JOURNAL) as file:
            file.write(b"".join(self.pending))


def _first_manifest(state: StreamState, options: StreamOptions) -> Manifest:
    means = state.arrays["means"]
    return Manifest(
        fps=float(options.fps),
        sh_degree=state.degree,
        bounds=[[float(x) for x in means.min(axis=0)], [float(x) for x in means.max(axis=0)]],
        title=options.title,
        licence=options.licence,
        up=[float(x) for x in options.up],
        near=options.near,
        cameras=list(options.cameras),
    )


def _only_record(content: bytes, source: str) -> Record:
    record, end = parse_record(content, source)
    if end != len(content):
        raise ReconError(f"{source} is damaged: bytes follow the record")
    return record


def _verified_keyframe(record: Record, source: str) -> StreamState:
    state = decode_keyframe(record, source)
    if state.checksum() != record.checksum:
        raise ReconError(f"{source}: the keyframe does not lead to the state whose checksum it carries")
    return state
