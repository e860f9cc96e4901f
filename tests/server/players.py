"""A player of streams without pictures: it keeps the state, and compares the checksum of every frame that it shows."""

import json
from collections.abc import Callable

from recon.streaming import Manifest, StreamState, apply_record, decode_keyframe, parse_file, parse_record
from recon.streaming.manifest import check_manifest, digest


class Player:
    """Plays what `fetch` gets by HTTP and what messages of the socket bring.

    Args:
        fetch: returns the bytes of a file of the stream by its name.
    """

    def __init__(self, fetch: Callable[[str], bytes]) -> None:
        self.fetch = fetch
        self.state: StreamState | None = None
        self.skips = 0
        self.ended = False
        self.told: list[dict] = []

    @property
    def frame(self) -> int:
        return -1 if self.state is None else self.state.frame

    def manifest(self) -> Manifest:
        return check_manifest(json.loads(self.fetch("manifest.json")), "manifest")

    def catch_up(self) -> "Player":
        """Play all that is in files: from the last keyframe where nothing was played yet."""
        manifest = self.manifest()
        if manifest.frames - 1 <= self.frame:
            return self
        if self.state is None:
            self._load(manifest.keyframe_before(manifest.frames - 1))
        while self.frame < manifest.frames - 1:
            segment = manifest.segment_of(self.frame + 1)
            if segment is None:
                keys = [k for k in manifest.keyframes if k.frame == self.frame + 1 and not k.preview]
                self._load(keys[0])
                continue
            for record, _ in parse_file(self._file(segment), segment.name):
                if record.frame == self.frame + 1:
                    apply_record(self.state, record, segment.name)
        return self

    def take(self, message: str | bytes) -> bool:
        """Take a message of the socket; False when frames are missing before it, which files may have by now."""
        if isinstance(message, str):
            told = json.loads(message)
            self.told.append(told)
            self.skips += told["type"] == "skip"
            self.ended |= told["type"] == "end"
            return True
        record, end = parse_record(message, "message")
        assert end == len(message)
        if record.frame <= self.frame:
            return True
        if record.rows_before == 0:
            self.state = decode_keyframe(record, "message")
            assert self.state.checksum() == record.checksum
        elif record.frame == self.frame + 1:
            apply_record(self.state, record, "message")
        else:
            return False
        return True

    def _load(self, file) -> None:
        ((record, _),) = parse_file(self._file(file), file.name)
        self.state = decode_keyframe(record, file.name)
        assert self.state.checksum() == record.checksum

    def _file(self, file) -> bytes:
        content = self.fetch(file.name)
        assert len(content) == file.bytes and digest(content) == file.sha256
        return content
