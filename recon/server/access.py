"""Who may talk to the server: this machine's own pages, or whoever knows the token.

A page from elsewhere, open in the same browser, is the opponent on a loopback server: it can send requests here, and by
DNS rebinding even make them look like its own. So the Host must name this machine, and whatever changes something or
opens a socket must come from our own page. A public server is guarded by a token instead of by its address.
"""

from __future__ import annotations

import hmac
import ipaddress
import json
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from recon.errors import ReconError

SHORTEST_TOKEN = 16
"""Characters; a person's own token must not be guessable within the life of a server."""

CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "worker-src 'self' blob:",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "connect-src 'self' blob: data:",
        "font-src 'self'",
        "media-src blob:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'self'",
    ]
)

SECURITY_HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}

INGEST = "/api/ingest/"
"""Below it, frames of a stream come in; from programs, which have a token of their own."""

_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass(frozen=True)
class Access:
    """Who is let in.

    Attributes:
        loopback: only this machine is served, so the Host must name it.
        token: what a client must know; None for no token.
        ingest_token: what a producer of frames must know; None where none are taken.
    """

    loopback: bool = True
    token: str | None = None
    ingest_token: str | None = None

    def __post_init__(self) -> None:
        if not self.loopback and self.token is None:
            raise ReconError("a viewer that other machines can reach needs a token")
        if self.token is not None and self.token == self.ingest_token:
            raise ReconError("whoever may look may not send frames: give --token and --ingest-token apart")

    def knows_token(self, candidate: str) -> bool:
        """Compare in constant time."""
        return self.token is None or hmac.compare_digest(candidate.encode(), self.token.encode())

    def knows_ingest_token(self, candidate: str) -> bool:
        """Compare in constant time; nobody knows a token that there is not."""
        token = self.ingest_token
        return token is not None and hmac.compare_digest(candidate.encode(), token.encode())

    def allows_host(self, host: str) -> bool:
        """Tell whether a Host header may name this server."""
        if not self.loopback:
            return bool(host)
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        return is_loopback(name)


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address is this machine's own, without asking any name server."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def choose_access(host: str, token: str | None) -> Access:
    """Return who is let in when the server listens at `host`; a public one gets a token if none is given.

    Raises:
        ReconError: when the token is too short, or cannot stand in a header.
    """
    if token is not None:
        check_token(token)
    loopback = is_loopback(host)
    if not loopback and token is None:
        token = make_token()
    return Access(loopback, token)


def check_token(token: str, option: str = "--token") -> None:
    """Refuse a token that could be guessed, or could not stand in a header.

    Raises:
        ReconError: with the reason.
    """
    if len(token) < SHORTEST_TOKEN:
        raise ReconError(
            f"the token has {len(token)} characters; give at least {SHORTEST_TOKEN}, or leave {option} out"
        )
    if not token.isascii() or not token.isprintable() or " " in token:
        raise ReconError("the token may hold ASCII letters, digits and signs only, without spaces")


def make_token() -> str:
    """Return a token that nobody can guess."""
    return secrets.token_urlsafe(24)


class Guard:
    """Refuses what must not come in before the application sees it, and puts the security headers on every answer."""

    def __init__(self, application: Application, access: Access) -> None:
        self._application = application
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._application(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if scope["type"] == "websocket":
            if refusal is None:
                await self._application(scope, receive, send)
            else:
                await send({"type": "websocket.close", "code": 1008, "reason": refusal[1]})
            return

        async def guarded(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                given = list(message.get("headers", []))
                stated = {name.lower() for name, _ in given}
                own = [(name.encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]
                message = {**message, "headers": [*given, *(one for one in own if one[0] not in stated)]}
            await send(message)

        if refusal is None:
            await self._application(scope, receive, guarded)
        else:
            await _refuse(guarded, *refusal)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Return the status and the sentence with which a request is refused; None when it may pass."""
        headers = _headers(scope)
        hosts = headers.get("host", [])
        if len(hosts) != 1 or not self._access.allows_host(hosts[0]):
            return 403, "this server answers only under its own address"
        if scope["type"] == "http" and scope["path"].startswith(INGEST):
            return self._ingest_refusal(headers)
        changes = scope["type"] == "websocket" or scope["method"] not in _SAFE_METHODS
        if changes and headers.get("origin", []) not in ([f"http://{hosts[0]}"], [f"https://{hosts[0]}"]):
            return 403, "this request did not come from the viewer's own page"
        # A WebSocket's token is its first message: browsers cannot send headers with it.
        # Nor can they with the question (OPTIONS) whether a page of another origin may send the header at all.
        guarded = scope["type"] == "http" and "/api/" in scope["path"] and scope["method"] != "OPTIONS"
        if guarded and self._access.token is not None and not self._access.knows_token(_bearer(headers)):
            return 401, "this viewer needs its token: open the whole address that recon printed"
        return None

    def _ingest_refusal(self, headers: dict[str, list[str]]) -> tuple[int, str] | None:
        if self._access.ingest_token is None:
            return 404, "this server takes no frames; start it with --ingest"
        if "origin" in headers:
            return 403, "frames are taken from programs, not from pages"
        if not self._access.knows_ingest_token(_bearer(headers)):
            return 401, "frames are taken from whoever knows the token that recon serve printed"
        return None


def _bearer(headers: dict[str, list[str]]) -> str:
    """Return the token that a request bears; an empty one, which is never right, where it bears none."""
    scheme, _, token = (headers.get("authorization") or [""])[0].partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _headers(scope: Scope) -> dict[str, list[str]]:
    headers: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    return headers


async def _refuse(send: Send, status: int, sentence: str) -> None:
    body = json.dumps({"error": sentence}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
