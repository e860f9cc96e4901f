"""Taking frames from a producer elsewhere and writing them as a stream that is valid at any time.

A record is parsed, applied to the state and compared with its checksum before it is written, so whatever reaches the
players is what they will decode. The producer is told which frame is expected, and goes on there after any failure.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from recon.errors import ReconError
from recon.server.access import INGEST
from recon.server.bodies import read_body
from recon.server.stream_session import MAX_CAMERAS, stream_cameras
from recon.streaming.layout import RecordKind
from recon.streaming.manifest import MANIFEST, NEAR, read_manifest
from recon.streaming.record import parse_record
from recon.streaming.writer import StreamOptions, StreamWriter

PRODUCER = "recon-producer"
"""Header with the name that a producer has made up for itself."""

_NAME = re.compile(r"[A-Za-z0-9_-]{8,64}", re.ASCII)
_MAX_BEGIN = 1 << 20


@dataclass(frozen=True)
class IngestLimits:
    """What one producer may send.

    Attributes:
        record: bytes of a record.
        unpacked: bytes that its sections may unpack to.
        records_per_second: for long; four seconds' worth may come at once.
        bytes_per_second: likewise.
        body_seconds: within which a record must have come whole.
        lease_seconds: after so long without a request another producer may take over.
        free_bytes: of the disk, that are never filled.
        keyframe_seconds: of the stream, after which a keyframe is made here when the producer sent none.
    """

    record: int = 128 << 20
    unpacked: int = 1 << 30
    records_per_second: float = 120.0
    bytes_per_second: float = 64 << 20
    body_seconds: float = 120.0
    lease_seconds: float = 30.0
    free_bytes: int = 256 << 20
    keyframe_seconds: float = 10.0


class StreamIngest:
    """The endpoints below `api/ingest/`; who may use them, the guard has decided before."""

    def __init__(self, folder: Path, written: Callable[[], None], limits: IngestLimits | None = None) -> None:
        """Take a stream into a folder, from where one that is there already left off.

        Args:
            written: called when there is something new in the folder.
        """
        self._folder = folder
        self._written = written
        self._limits = limits or IngestLimits()
        self._turn = asyncio.Lock()
        self._options = StreamOptions(keyframe_seconds=self._limits.keyframe_seconds)
        self._writer: StreamWriter | None = None
        self._producer: str | None = None
        self._heard = -math.inf
        self._records = _Bucket(self._limits.records_per_second)
        self._bytes = _Bucket(self._limits.bytes_per_second)

    def routes(self) -> list[Route]:
        """Return the endpoints."""
        return [
            Route(f"{INGEST}begin", self._in_turn(self._begin), methods=["POST"]),
            Route(f"{INGEST}record", self._in_turn(self._record), methods=["POST"]),
            Route(f"{INGEST}end", self._in_turn(self._end), methods=["POST"]),
        ]

    def _in_turn(self, answer: Callable) -> Callable:
        """Let one request of one producer in at a time, before its body is read."""

        async def answered(request: Request) -> Response:
            name = request.headers.get(PRODUCER, "")
            if not _NAME.fullmatch(name):
                raise HTTPException(400, f"a producer names itself in the header {PRODUCER}, 8 to 64 letters")
            now = time.monotonic()
            other = self._producer is not None and name != self._producer
            if self._turn.locked() or (other and now - self._heard < self._limits.lease_seconds):
                wait = max(1, math.ceil(self._limits.lease_seconds - (now - self._heard))) if other else 1
                sentence = "another producer is sending this stream; one at a time may"
                raise HTTPException(423, sentence, headers={"Retry-After": str(wait)})
            async with self._turn:
                self._producer, self._heard = name, now
                try:
                    return await answer(request)
                finally:
                    self._heard = time.monotonic()

        return answered

    async def _begin(self, request: Request) -> Response:
        body = await read_body(request, _MAX_BEGIN, self._limits.body_seconds)
        options = _parse_options(body, self._limits.keyframe_seconds)
        if not (self._folder / MANIFEST).exists():
            self._options = options
        return JSONResponse({"expected": await run_in_threadpool(self._expected)})

    async def _record(self, request: Request) -> Response:
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/octet-stream":
            raise HTTPException(415, "send the record's bytes as application/octet-stream")
        content = await read_body(request, self._limits.record, self._limits.body_seconds)
        wait = max(self._records.take(1), self._bytes.take(len(content)))
        if wait > 0:
            headers = {"Retry-After": str(math.ceil(wait))}
            raise HTTPException(429, "frames come too fast; wait a moment", headers=headers)
        expected, accepted = await run_in_threadpool(self._write, content)
        if not accepted:
            sentence = f"frame {expected} is expected"
            return JSONResponse({"error": sentence, "expected": expected}, 409)
        return JSONResponse({"expected": expected})

    async def _end(self, request: Request) -> Response:
        await read_body(request, 1024, self._limits.body_seconds)
        frames = await run_in_threadpool(self._close)
        self._producer = None
        return JSONResponse({"frames": frames})

    # On a thread, one at a time.

    def _expected(self) -> int:
        """Return the next frame, having opened a stream that is in the folder."""
        if self._writer is None and (self._folder / MANIFEST).exists():
            # What the first producer said of its stream holds; the manifest keeps it.
            told = read_manifest(self._folder)
            self._options = StreamOptions(fps=told.fps, keyframe_seconds=self._limits.keyframe_seconds)
            self._writer = StreamWriter.resume(self._folder, self._options)
        return 0 if self._writer is None else self._writer.state.frame + 1

    def _write(self, content: bytes) -> tuple[int, bool]:
        """Take a record; return which frame is expected then, and whether this one was."""
        record, _ = parse_record(content, "the record")
        if sum(section.size for section in record.sections.values()) > self._limits.unpacked:
            raise HTTPException(413, "the record unpacks to more than this server takes")
        source = f"the record of frame {record.frame}"
        expected = self._expected()
        again = record.kind == RecordKind.KEYFRAME and record.frame == expected - 1
        if record.frame != expected and not again:
            return expected, False
        self._check_space(len(content))
        try:
            if self._writer is None:
                self._writer = StreamWriter.create_from_record(self._folder, content, self._options, source)
            else:
                self._writer.append_record(content, source)
        except OSError as error:
            self._writer = None
            raise HTTPException(507, f"the frame was not written: {error.strerror or error}") from None
        except ReconError:
            # The state may be half-way to the next frame; the folder is not.
            self._writer = None
            raise
        self._written()
        return self._writer.state.frame + 1, True

    def _close(self) -> int:
        expected = self._expected()
        if self._writer is None:
            raise HTTPException(409, "there is no stream to end: not one frame came")
        if self._writer.manifest.live:
            self._writer.close()
        self._writer = None
        self._written()
        return expected

    def _check_space(self, size: int) -> None:
        place = self._folder if self._folder.exists() else self._folder.resolve().parent
        # A record is written twice: into the journal, and into the segment.
        if shutil.disk_usage(place).free < self._limits.free_bytes + 2 * size:
            raise HTTPException(507, "the server's disk is nearly full")


class _Bucket:
    """Lets so much through per second, and four seconds' worth at once."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._left = 4 * rate
        self._at = time.monotonic()

    def take(self, amount: float) -> float:
        """Take from what is left and return 0, or return the seconds to wait; a full bucket lets anything through."""
        now = time.monotonic()
        full = 4 * self._rate
        self._left = min(full, self._left + self._rate * (now - self._at))
        self._at = now
        missing = min(amount, full) - self._left
        if missing > 0:
            return missing / self._rate
        self._left -= amount
        return 0.0


def _parse_options(body: bytes, keyframe_seconds: float) -> StreamOptions:
    """Return what a producer says of its stream.

    Raises:
        ReconError: when it cannot be understood.
    """
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        raise ReconError("what the producer says of its stream is not JSON") from None
    if not isinstance(data, dict):
        raise ReconError("a producer says of its stream: fps, up, near, title, licence, cameras")
    fps, up, near = data.get("fps", 30.0), data.get("up", [0.0, -1.0, 0.0]), data.get("near", NEAR)
    title, licence, cameras = data.get("title", ""), data.get("licence", ""), data.get("cameras", [])
    if type(fps) not in (int, float) or not 1e-3 <= fps <= 1e4:
        raise ReconError("fps must be a number from 0.001 to 10000")
    if not isinstance(up, list) or len(up) != 3 or not all(_is_small_number(number) for number in up):
        raise ReconError("up must be three numbers")
    if not _is_small_number(near) or near < 0:
        raise ReconError("near must be a number from 0 on")
    for words, limit in ((title, 200), (licence, 10_000)):
        if not isinstance(words, str) or len(words) > limit:
            raise ReconError("title and licence must be words: at most 200 and 10000 letters")
    if not isinstance(cameras, list) or len(cameras) > MAX_CAMERAS:
        raise ReconError(f"cameras must be a list of at most {MAX_CAMERAS}")
    kept = stream_cameras(cameras)
    if len(kept) < len(cameras):
        raise ReconError("a camera needs name, role, width, height, intrinsics and world_to_camera")
    return StreamOptions(
        fps=float(fps),
        keyframe_seconds=keyframe_seconds,
        title=title,
        licence=licence,
        up=[float(number) for number in up],
        near=float(near),
        cameras=kept,
    )


def _is_small_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= 1e6
