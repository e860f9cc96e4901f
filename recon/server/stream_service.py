"""All that belongs to showing a stream: its files, the socket while it grows, and frames that come in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from starlette.routing import BaseRoute, WebSocketRoute

from recon.server.access import Access
from recon.server.session import Stage
from recon.server.sockets import Patience
from recon.server.stream_feed import FeedLimits, StreamFeed
from recon.server.stream_files import StreamFiles
from recon.server.stream_ingest import IngestLimits, StreamIngest
from recon.server.stream_socket import StreamSocket
from recon.server.stream_tail import StreamTail


class StreamService:
    """One stream that is served; to be used within `following`."""

    def __init__(
        self,
        folder: Path,
        stage: Stage,
        *,
        share: bool = False,
        ingest: bool = False,
        feed_limits: FeedLimits | None = None,
        ingest_limits: IngestLimits | None = None,
    ) -> None:
        """Serve a folder.

        Args:
            stage: is told when the session changes.
            share: pages of other origins may read the files.
            ingest: frames may come in.
        """
        self.feed = StreamFeed(feed_limits)
        self.tail = StreamTail(folder, self.feed, stage)
        self._files = StreamFiles(folder, share=share)
        self._ingest = StreamIngest(folder, self.tail.nudge, ingest_limits) if ingest else None

    @contextmanager
    def following(self) -> Iterator[None]:
        """Follow the folder while the block runs."""
        with self.tail.following():
            yield

    def routes(self, access: Access, patience: Patience | None) -> list[BaseRoute]:
        """Return the endpoints; the socket's comes first, since its path could be a file's."""
        socket = StreamSocket(self.feed, access, patience)
        taken = [] if self._ingest is None else self._ingest.routes()
        return [WebSocketRoute("/api/stream/live", socket.answer), *taken, *self._files.routes()]
