"""The live feed over a WebSocket: one sender and one reader per client, both with limits."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any

from starlette.websockets import WebSocket

from recon.server.access import Access
from recon.server.live_feed import Client, LiveFeed
from recon.server.sockets import (
    FULL,
    NOT_UNDERSTOOD,
    Patience,
    RefusedError,
    first_of,
    receive,
    serve_admitted,
)


class LiveSocket:
    """The endpoint `api/live`."""

    def __init__(self, feed: LiveFeed, access: Access, patience: Patience | None = None) -> None:
        self._feed = feed
        self._access = access
        self._patience = patience or Patience()

    async def answer(self, socket: WebSocket) -> None:
        """Serve one client until it leaves, misbehaves or proves too slow."""
        await serve_admitted(socket, self._access, self._patience, self._serve)

    async def _serve(self, socket: WebSocket) -> None:
        loop, news = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            with suppress(RuntimeError):  # the server's loop has ended
                loop.call_soon_threadsafe(news.set)

        client = Client(wake)
        history = self._feed.connect(client)
        if history is None:
            raise RefusedError(FULL, "too many viewers watch this training")
        try:
            await self._send(socket, {"type": "history", "rows": history})
            sender = asyncio.create_task(self._send_news(socket, client, news))
            reader = asyncio.create_task(self._read(socket, client))
            await first_of(sender, reader)
        finally:
            self._feed.disconnect(client)

    async def _send_news(self, socket: WebSocket, client: Client, news: asyncio.Event) -> None:
        client.session_seen = self._feed.session_version
        while True:
            news.clear()
            if client.session_seen < self._feed.session_version:
                client.session_seen = self._feed.session_version
                await self._send(socket, {"type": "session"})
            await self._send_progress(socket, client)
            frame = self._feed.frame
            if frame is not None and client.wants_frame and frame.number > client.frame_begun:
                client.frame_begun = frame.number
                for left, message in zip(range(len(frame.messages), 0, -1), frame.messages, strict=True):
                    if left == 1:
                        client.frame_sent = frame.number
                    await asyncio.wait_for(socket.send_bytes(message), self._patience.send)
                    await self._send_progress(socket, client)
            await news.wait()

    async def _send_progress(self, socket: WebSocket, client: Client) -> None:
        version = self._feed.progress_version
        if client.progress_seen < version:
            client.progress_seen = version
            await self._send(socket, self._feed.progress)

    async def _send(self, socket: WebSocket, message: dict[str, Any]) -> None:
        await asyncio.wait_for(socket.send_text(json.dumps(message, allow_nan=False)), self._patience.send)

    async def _read(self, socket: WebSocket, client: Client) -> None:
        while True:
            message = await receive(socket)
            match message.get("type"):
                case "ack":
                    frame = message.get("frame")
                    if type(frame) is not int:
                        raise RefusedError(NOT_UNDERSTOOD, "an acknowledgement names its frame")
                    self._feed.acknowledge(client, frame)
                case "pause":
                    self._feed.pause(True)
                case "resume":
                    self._feed.pause(False)
                case "stop":
                    self._feed.stop()
                case "token":
                    pass  # a page with an old token in memory, and a server that needs none
                case _:
                    raise RefusedError(NOT_UNDERSTOOD, "this message is not understood")
