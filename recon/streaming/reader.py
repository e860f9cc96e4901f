"""Reading a stream: any frame through the keyframe before it, or all of them in order."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from recon.errors import ReconError
from recon.files import read_bytes
from recon.streaming.apply import apply_record
from recon.streaming.keyframe import decode_keyframe
from recon.streaming.layout import RecordKind
from recon.streaming.manifest import KeyframeFile, SegmentFile, digest, read_manifest
from recon.streaming.record import Record, parse_file
from recon.streaming.state import StreamState


class StreamReader:
    """A stream in a folder. Every file is compared with its SHA-256, and every state with its checksum."""

    def __init__(self, folder: str | os.PathLike[str], *, verify: bool = True) -> None:
        """Open a stream.

        Args:
            verify: compare the checksum of every state, which takes longer than decoding.

        Raises:
            ReconError: when the folder holds no stream that this version reads.
        """
        self.folder = Path(folder)
        self.verify = verify
        self.manifest = read_manifest(folder)

    def records(self, file: KeyframeFile | SegmentFile) -> Iterator[Record]:
        """Yield the records of one of the manifest's files.

        Raises:
            ReconError: when it is missing or not what the manifest says.
        """
        path = self.folder / file.name
        content = read_bytes(path, file.bytes)
        if len(content) != file.bytes or digest(content) != file.sha256:
            raise ReconError(f"{path} is damaged: its bytes are not those that the manifest names")
        for record, _ in parse_file(content, str(path)):
            yield record

    def keyframe(self, file: KeyframeFile) -> StreamState:
        """Return the state that a keyframe's file holds.

        Raises:
            ReconError: when it is damaged.
        """
        source = str(self.folder / file.name)
        record = next(self.records(file))
        if record.kind != RecordKind.KEYFRAME or record.frame != file.frame or record.preview != file.preview:
            raise ReconError(f"{source} does not hold the keyframe that the manifest names")
        state = decode_keyframe(record, source)
        if self.verify and state.checksum() != record.checksum:
            raise ReconError(f"{source}: the keyframe does not lead to the state whose checksum it carries")
        return state

    def state_at(self, frame: int) -> StreamState:
        """Return the state of a frame, through the last keyframe before it.

        Raises:
            ReconError: when there is no such frame, or a file is damaged.
        """
        for state in self.states(self.manifest.keyframe_before(frame).frame):
            if state.frame == frame:
                return state
        raise ReconError(f"{self.folder} ends before frame {frame}")

    def states(self, start: int = 0) -> Iterator[StreamState]:
        """Yield the state of every frame in order: always the same object, changed in place.

        Args:
            start: the first frame, one of a keyframe.

        Raises:
            ReconError: when a file is damaged.
        """
        keys = {one.frame: one for one in self.manifest.keyframes if not one.preview}
        if start not in keys:
            raise ReconError(f"{self.folder} has no keyframe at frame {start} to start from")
        state = self.keyframe(keys[start])
        yield state
        while state.frame + 1 < self.manifest.frames:
            segment = self.manifest.segment_of(state.frame + 1)
            if segment is None:
                state = self.keyframe(keys[state.frame + 1])
                yield state
                continue
            source = str(self.folder / segment.name)
            for record in self.records(segment):
                if record.frame <= state.frame:
                    continue
                apply_record(state, record, source, verify=self.verify)
                yield state
            if state.frame != segment.start + segment.frames - 1:
                raise ReconError(f"{source} does not hold the frames that the manifest names")
