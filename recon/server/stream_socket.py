"""A growing stream over a WebSocket: the records of its files, one in each message, as soon as they are written."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress

from starlette.websockets import WebSocket

from recon.server.access import Access
from recon.server.sockets import (
    FULL,
    NOT_UNDERSTOOD,
    RESTART,
    Patience,
    RefusedError,
    first_of,
    receive,
    serve_admitted,
)
from recon.server.stream_feed import StreamClient, StreamFeed

_SLOWEST = 64 << 10
"""Bytes per second that a client must take of a large message, beyond the time that any message has."""


class StreamSocket:
    """The endpoint `api/stream/live`."""

    def __init__(self, feed: StreamFeed, access: Access, patience: Patience | None = None) -> None:
        self._feed = feed
        self._access = access
        self._patience = patience or Patience()

    async def answer(self, socket: WebSocket) -> None:
        """Serve one client until the stream ends, or the client leaves, misbehaves or takes nothing."""
        await serve_admitted(socket, self._access, self._patience, self._serve)

    async def _serve(self, socket: WebSocket) -> None:
        loop, news = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            with suppress(RuntimeError):  # the server's loop has ended
                loop.call_soon_threadsafe(news.set)

        client = StreamClient(wake)
        if not self._feed.connect(client):
            raise RefusedError(FULL, "too many players listen to this stream; play it from its files")
        try:
            sender = asyncio.create_task(self._send_news(socket, client, news))
            await first_of(sender, asyncio.create_task(_listen(socket)))
        finally:
            self._feed.disconnect(client)

    async def _send_news(self, socket: WebSocket, client: StreamClient, news: asyncio.Event) -> None:
        while True:
            news.clear()
            while (message := self._feed.take(client)) is not None:
                if isinstance(message, bytes):
                    seconds = self._patience.send + len(message) / _SLOWEST
                    await asyncio.wait_for(socket.send_bytes(message), seconds)
                else:
                    await asyncio.wait_for(socket.send_text(json.dumps(message)), self._patience.send)
            if client.replaced:
                raise RefusedError(RESTART, "the stream was replaced by another one")
            if client.ended:
                raise RefusedError(1000, "the stream has ended")
            await news.wait()


async def _listen(socket: WebSocket) -> None:
    """Notice when the client leaves; it has nothing to say but a token that it may have in memory."""
    while True:
        if (await receive(socket)).get("type") != "token":
            raise RefusedError(NOT_UNDERSTOOD, "this message is not understood")
