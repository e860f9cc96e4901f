"""The live feed over a WebSocket: one sender and one reader per client, both with limits."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from recon.server.access import Access
from recon.server.live_feed import Client, LiveFeed

MAX_MESSAGE = 64 << 10
"""Bytes of a message from a client."""

_POLICY, _TOO_LARGE, _NOT_TEXT, _NOT_UNDERSTOOD, _FULL = 1008, 1009, 1003, 1007, 1013


@dataclass(frozen=True)
class Patience:
    """Seconds after which a client is given up."""

    token: float = 10.0
    """To say its token."""
    send: float = 20.0
    """To take one message."""


class _RefusedError(Exception):
    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class LiveSocket:
    """The endpoint `api/live`."""

    def __init__(self, feed: LiveFeed, access: Access, patience: Patience | None = None) -> None:
        self._feed = feed
        self._access = access
        self._patience = patience or Patience()

    async def answer(self, socket: WebSocket) -> None:
        """Serve one client until it leaves, misbehaves or proves too slow."""
        await socket.accept()
        try:
            await self._admit(socket)
            await self._serve(socket)
        except _RefusedError as refused:
            await self._close(socket, refused.code, refused.reason)
        except (WebSocketDisconnect, TimeoutError, asyncio.TimeoutError, OSError):
            pass  # gone, or too slow: returning closes the connection

    async def _admit(self, socket: WebSocket) -> None:
        """Wait for the token, where one is needed."""
        if self._access.token is None:
            return
        try:
            message = await asyncio.wait_for(_receive(socket), self._patience.token)
        except (TimeoutError, asyncio.TimeoutError):
            raise _RefusedError(_POLICY, "no token came") from None
        token = message.get("token")
        if (
            message.get("type") != "token"
            or not isinstance(token, str)
            or not self._access.knows_token(token)
        ):
            raise _RefusedError(_POLICY, "this viewer needs its token")

    async def _serve(self, socket: WebSocket) -> None:
        loop, news = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            with suppress(RuntimeError):  # the server's loop has ended
                loop.call_soon_threadsafe(news.set)

        client = Client(wake)
        history = self._feed.connect(client)
        if history is None:
            raise _RefusedError(_FULL, "too many viewers watch this training")
        try:
            await self._send(socket, {"type": "history", "rows": history})
            sender = asyncio.create_task(self._send_news(socket, client, news))
            reader = asyncio.create_task(self._read(socket, client))
            await _first_of(sender, reader)
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
            message = await _receive(socket)
            match message.get("type"):
                case "ack":
                    frame = message.get("frame")
                    if type(frame) is not int:
                        raise _RefusedError(_NOT_UNDERSTOOD, "an acknowledgement names its frame")
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
                    raise _RefusedError(_NOT_UNDERSTOOD, "this message is not understood")

    async def _close(self, socket: WebSocket, code: int, reason: str) -> None:
        if socket.application_state is WebSocketState.CONNECTED:
            with suppress(RuntimeError, WebSocketDisconnect, TimeoutError, asyncio.TimeoutError, OSError):
                await asyncio.wait_for(socket.close(code, reason), self._patience.send)


async def _first_of(*tasks: asyncio.Task[None]) -> None:
    """Wait for the first task to end, end the others, and raise what it raised."""
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:  # also when this one is cancelled
        for task in tasks:
            task.cancel()
            task.add_done_callback(_look_at_end)
    for task in done:
        task.result()


def _look_at_end(task: asyncio.Task[None]) -> None:
    """Take note of how a task ended, which asyncio complains about otherwise."""
    if not task.cancelled():
        task.exception()


async def _receive(socket: WebSocket) -> dict[str, Any]:
    """Return the next message; the connection ends on one that is too large, not text, or not a JSON object."""
    event = await socket.receive()
    if event["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(event.get("code", 1005))
    text = event.get("text")
    if text is None:
        size = len(event.get("bytes") or b"")
        raise _RefusedError(
            _TOO_LARGE if size > MAX_MESSAGE else _NOT_TEXT, "messages to this server are JSON text"
        )
    if len(text) > MAX_MESSAGE or len(text.encode()) > MAX_MESSAGE:
        raise _RefusedError(_TOO_LARGE, f"messages of at most {MAX_MESSAGE} bytes are read")
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        raise _RefusedError(_NOT_UNDERSTOOD, "this message is not JSON") from None
    if not isinstance(message, dict):
        raise _RefusedError(_NOT_UNDERSTOOD, "messages are JSON objects")
    return message
