"""A thread that follows a stream's folder and tells the feed and the session what it gains."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recon.errors import ReconError
from recon.server.session import Stage, is_stream
from recon.server.stream_feed import StreamFeed
from recon.server.stream_session import stream_session
from recon.streaming.follow import StreamFollower, StreamReplacedError

SECONDS_PER_LOOK = 0.05
"""Two files are asked for their size so often; a frame waits half of it on average."""

_SECONDS_PER_RETRY = 1.0


class StreamTail:
    """Follows one folder. What was there before it started is left to the files."""

    def __init__(self, folder: Path, feed: StreamFeed, stage: Stage) -> None:
        self.folder = folder
        self._feed = feed
        self._stage = stage
        self._wanted = threading.Event()
        self._stop = False
        self._follower = self._new_follower()
        self._shown: object = None

    def nudge(self) -> None:
        """Look at once: this process has just written something."""
        self._wanted.set()

    def look(self) -> bool:
        """Publish what has come; False when the folder cannot be read for the moment."""
        follower = self._follower
        try:
            for record in follower.poll():
                self._feed.publish(record)
        except StreamReplacedError:
            self._feed.replace()
            self._follower, self._shown = self._new_follower(), None
            return True
        except (ReconError, OSError):
            return False
        manifest = follower.manifest
        if manifest is not None and manifest is not self._shown:
            self._shown = manifest
            self._feed.filed(manifest.frames)
            try:
                self._stage.session = stream_session(self.folder)
            except ReconError:
                return False
            if manifest.live:
                self._feed.go_on()
        if follower.ended:
            self._feed.end()
        return True

    @contextmanager
    def following(self) -> Iterator[None]:
        """Look again and again, on a thread, while the block runs."""
        self.look()  # so that the first client already finds everything
        thread = threading.Thread(target=self._run, name="recon-stream-tail", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop = True
            self.nudge()
            thread.join()

    def _run(self) -> None:
        while not self._stop:
            seconds = SECONDS_PER_LOOK if self.look() else _SECONDS_PER_RETRY
            self._wanted.wait(seconds)
            self._wanted.clear()

    def _new_follower(self) -> StreamFollower:
        return StreamFollower(self.folder, None if is_stream(self.folder) else 0)
