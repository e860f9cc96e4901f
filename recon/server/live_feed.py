"""What a live training tells, kept so that no client can hold it up.

There are no queues. The feed holds the newest progress, a bounded history and the newest frame of Gaussians; each
client remembers what it has been sent and takes what is newest when it is ready. A slow client therefore misses steps,
uses no memory, and delays nobody.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

MAX_CLIENTS = 8
MAX_HISTORY = 4096
"""Rows; beyond it every second row is dropped, which a curve on a screen does not show."""


@dataclass(frozen=True)
class Frame:
    """The Gaussians of one moment, encoded."""

    number: int
    messages: tuple[bytes, ...]


class Client:
    """What one connection was sent; `wake` is called, from any thread, when there may be something new for it."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self.wake = wake
        self.progress_seen = -1
        self.session_seen = -1
        self.frame_begun = 0
        self.frame_sent = 0
        self.frame_acknowledged = 0

    @property
    def wants_frame(self) -> bool:
        """The last frame was acknowledged, so another may be sent."""
        return self.frame_acknowledged >= self.frame_begun

    def acknowledge(self, frame: int) -> None:
        """Note that a frame has arrived; frames that were not sent, or not wholly, count for nothing."""
        if frame == self.frame_sent:
            self.frame_acknowledged = frame
            self.wake()


class LiveFeed:
    """Shared by the training's thread, which publishes, and the server's, which reads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._clients: set[Client] = set()
        self._progress: dict[str, Any] = {
            "type": "progress",
            "state": "waiting",
            "phase": "poses",
            "iteration": 0,
            "iterations": 0,
            "loss": None,
            "psnr": None,
            "gaussians": 0,
            "rate": 0.0,
            "eta": None,
            "message": None,
        }
        self._history: list[list[float]] = []
        self._frame: Frame | None = None
        self._paused = False
        self._stop = False
        self.progress_version = 0
        self.session_version = 0

    # What the training does.

    def publish(self, **changes: Any) -> None:
        """Change parts of the progress and tell everybody."""
        with self._lock:
            self._progress = {**self._progress, **changes}
            self.progress_version += 1
        self._wake_all()

    def add_row(self, iteration: int, loss: float, psnr: float, gaussians: int) -> None:
        """Lengthen the curves; to be followed by `publish`."""
        with self._lock:
            self._history.append([iteration, loss, psnr, gaussians])
            if len(self._history) > MAX_HISTORY:
                self._history = self._history[::2]

    def show(self, messages: tuple[bytes, ...], number: int) -> None:
        """Replace the newest frame."""
        with self._lock:
            self._frame = Frame(number, messages)
        self._wake_all()

    def drop_frame(self) -> None:
        """Forget the newest frame: the finished splat is fetched as a file."""
        with self._lock:
            self._frame = None

    def session_changed(self) -> None:
        """Tell everybody to fetch the session again."""
        with self._lock:
            self.session_version += 1
        self._wake_all()

    @property
    def frame_wanted(self) -> bool:
        """Somebody is connected and ready for a frame newer than all there are."""
        with self._lock:
            newest = self._frame.number if self._frame else 0
            return any(client.wants_frame and client.frame_begun >= newest for client in self._clients)

    @property
    def paused(self) -> bool:
        return self._paused and not self._stop

    @property
    def stop_requested(self) -> bool:
        return self._stop

    def wait(self, seconds: float) -> None:
        """Wait, while paused, until somebody resumes, stops or acknowledges, or the time is up."""
        with self._changed:
            self._changed.wait(seconds)

    # What clients do.

    def connect(self, client: Client) -> list[list[float]] | None:
        """Let a client in and return the history to send it; None when there are too many."""
        with self._lock:
            if len(self._clients) >= MAX_CLIENTS:
                return None
            self._clients.add(client)
            self._changed.notify_all()
            return list(self._history)

    def disconnect(self, client: Client) -> None:
        with self._lock:
            self._clients.discard(client)

    @property
    def clients(self) -> int:
        return len(self._clients)

    @property
    def progress(self) -> dict[str, Any]:
        return self._progress

    @property
    def frame(self) -> Frame | None:
        return self._frame

    def acknowledge(self, client: Client, frame: int) -> None:
        client.acknowledge(frame)
        with self._changed:
            self._changed.notify_all()

    def pause(self, paused: bool) -> None:
        with self._changed:
            self._paused = paused
            self._changed.notify_all()

    def stop(self) -> None:
        with self._changed:
            self._stop = True
            self._changed.notify_all()

    def _wake_all(self) -> None:
        with self._lock:
            clients = list(self._clients)
        for client in clients:
            client.wake()
