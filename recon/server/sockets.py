"""What all WebSockets of the server share: who is let in, for how long, and what a client may say."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from recon.server.access import Access

MAX_MESSAGE = 64 << 10
"""Bytes of a message from a client."""

POLICY, TOO_LARGE, NOT_TEXT, NOT_UNDERSTOOD, FULL, RESTART = 1008, 1009, 1003, 1007, 1013, 1012


@dataclass(frozen=True)
class Patience:
    """Seconds after which a client is given up."""

    token: float = 10.0
    """To say its token."""
    send: float = 20.0
    """To take one message."""


class RefusedError(Exception):
    """The connection shall end, with a code and a reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


async def serve_admitted(
    socket: WebSocket, access: Access, patience: Patience, serve: Callable[[WebSocket], Awaitable[None]]
) -> None:
    """Serve one client until it leaves, misbehaves or proves too slow; first it must say the token, if there is one."""
    await socket.accept()
    try:
        await _admit(socket, access, patience)
        await serve(socket)
    except RefusedError as refused:
        await _close(socket, refused.code, refused.reason, patience)
    except (WebSocketDisconnect, TimeoutError, asyncio.TimeoutError, OSError):
        pass  # gone, or too slow: returning closes the connection


async def _admit(socket: WebSocket, access: Access, patience: Patience) -> None:
    """Wait for the token, where one is needed."""
    if access.token is None:
        return
    try:
        message = await asyncio.wait_for(receive(socket), patience.token)
    except (TimeoutError, asyncio.TimeoutError):
        raise RefusedError(POLICY, "no token came") from None
    token = message.get("token")
    if message.get("type") != "token" or not isinstance(token, str) or not access.knows_token(token):
        raise RefusedError(POLICY, "this viewer needs its token")


async def _close(socket: WebSocket, code: int, reason: str, patience: Patience) -> None:
    if socket.application_state is WebSocketState.CONNECTED:
        with suppress(RuntimeError, WebSocketDisconnect, TimeoutError, asyncio.TimeoutError, OSError):
            await asyncio.wait_for(socket.close(code, reason), patience.send)


async def first_of(*tasks: asyncio.Task[None]) -> None:
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


async def receive(socket: WebSocket) -> dict[str, Any]:
    """Return the next message; the connection ends on one that is too large, not text, or not a JSON object."""
    event = await socket.receive()
    if event["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(event.get("code", 1005))
    text = event.get("text")
    if text is None:
        size = len(event.get("bytes") or b"")
        raise RefusedError(
            TOO_LARGE if size > MAX_MESSAGE else NOT_TEXT, "messages to this server are JSON text"
        )
    if len(text) > MAX_MESSAGE or len(text.encode()) > MAX_MESSAGE:
        raise RefusedError(TOO_LARGE, f"messages of at most {MAX_MESSAGE} bytes are read")
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        raise RefusedError(NOT_UNDERSTOOD, "this message is not JSON") from None
    if not isinstance(message, dict):
        raise RefusedError(NOT_UNDERSTOOD, "messages are JSON objects")
    return message
