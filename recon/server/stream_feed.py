"""What a growing stream pushes, with a short queue for each client: a slow one is sent on to the next keyframe.

Single residuals are never left out, because nothing after the gap could be decoded. Queues hold references to the same
bytes, and each is either a piece of the newest records or empty, so many slow clients cost no more memory than one.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from recon.streaming.follow import FollowedRecord


@dataclass(frozen=True)
class FeedLimits:
    """What is kept.

    Attributes:
        clients: sockets at a time.
        frames: records that may wait for a client.
        bytes: of records that may wait for a client; a single larger record may.
    """

    clients: int = 256
    frames: int = 128
    bytes: int = 32 << 20


class StreamClient:
    """What waits for one connection; `wake` is called, from any thread, when there may be something new for it."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self.wake = wake
        self.messages: deque[bytes | dict[str, Any]] = deque()
        self.bytes = 0
        self.waits_for_keyframe = False
        self.ended = False
        self.replaced = False


class StreamFeed:
    """Shared by the thread that follows the folder, which publishes, and the server's, which sends."""

    def __init__(self, limits: FeedLimits | None = None) -> None:
        self._limits = limits or FeedLimits()
        self._lock = threading.Lock()
        self._clients: set[StreamClient] = set()
        self._open: deque[FollowedRecord] = deque()
        self._open_bytes = 0
        self._frames = 0
        self._live = True

    # What the follower does.

    def publish(self, record: FollowedRecord) -> None:
        """Queue a record for everybody who can use it."""
        if record.kind == "preview":
            return
        with self._lock:
            if record.kind != "keyframe":
                self._frames = record.frame + 1
                self._keep_open(record)
            for client in self._clients:
                self._offer(client, record)
        self._wake_all()

    def filed(self, frames: int) -> None:
        """Note that the manifest's files hold so many frames, so that late comers find them there."""
        with self._lock:
            self._frames = max(self._frames, frames)
            while self._open and self._open[0].frame < frames:
                self._open_bytes -= len(self._open.popleft().content)

    def end(self) -> None:
        """Tell everybody that nothing follows."""
        with self._lock:
            if not self._live:
                return
            self._live = False
            for client in self._clients:
                self._queue_end(client)
        self._wake_all()

    def go_on(self) -> None:
        """Note that more may follow."""
        with self._lock:
            self._live = True

    def replace(self) -> None:
        """Send everybody away, to start again with the manifest: the folder holds another stream."""
        with self._lock:
            self._open.clear()
            self._open_bytes = self._frames = 0
            for client in self._clients:
                client.messages.clear()
                client.replaced = True
        self._wake_all()

    # What clients do.

    def connect(self, client: StreamClient) -> bool:
        """Let a client in, unless there are too many; frames that are in no file yet wait for it at once."""
        with self._lock:
            if len(self._clients) >= self._limits.clients:
                return False
            self._clients.add(client)
            client.messages.append({"type": "stream", "frames": self._frames, "live": self._live})
            if len(self._open) < self._limits.frames:
                client.messages.extend(record.content for record in self._open)
                client.bytes = self._open_bytes
            if not self._live:
                self._queue_end(client)
        return True

    def disconnect(self, client: StreamClient) -> None:
        with self._lock:
            self._clients.discard(client)

    def take(self, client: StreamClient) -> bytes | dict[str, Any] | None:
        """Return the next message for a client, or None while there is none."""
        with self._lock:
            if not client.messages:
                return None
            message = client.messages.popleft()
            if isinstance(message, bytes):
                client.bytes -= len(message)
            return message

    @property
    def clients(self) -> int:
        return len(self._clients)

    @property
    def frames(self) -> int:
        return self._frames

    def _keep_open(self, record: FollowedRecord) -> None:
        """Keep what late comers cannot fetch yet; where that is too much, they wait for the files instead."""
        self._open.append(record)
        self._open_bytes += len(record.content)
        if self._open_bytes > self._limits.bytes:
            self._open.clear()
            self._open_bytes = 0

    def _offer(self, client: StreamClient, record: FollowedRecord) -> None:
        keyframe = record.kind in ("keyframe", "cut")
        if client.waits_for_keyframe:
            if not keyframe:
                return
        elif record.kind == "keyframe":
            return  # it has the frame's residual
        elif client.messages and (
            len(client.messages) >= self._limits.frames
            or client.bytes + len(record.content) > self._limits.bytes
        ):
            _skip(client)
            if not keyframe:
                client.waits_for_keyframe = True
                return
        client.waits_for_keyframe = False
        client.messages.append(record.content)
        client.bytes += len(record.content)

    def _queue_end(self, client: StreamClient) -> None:
        client.messages.append({"type": "end", "frames": self._frames})
        client.ended = True

    def _wake_all(self) -> None:
        with self._lock:
            clients = list(self._clients)
        for client in clients:
            client.wake()


def _skip(client: StreamClient) -> None:
    """Drop what waits, but for the very first message, which says what this is."""
    greeting = [one for one in client.messages if isinstance(one, dict) and one["type"] == "stream"]
    client.messages.clear()
    client.messages.extend([*greeting, {"type": "skip"}])
    client.bytes = 0
