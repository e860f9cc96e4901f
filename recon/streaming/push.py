"""Sending a stream's frames to `recon serve --ingest`, from a folder that may still grow."""

from __future__ import annotations

import http.client
import json
import os
import secrets
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from recon.errors import ReconError
from recon.streaming.follow import FollowedRecord, StreamFollower

TOKEN_VARIABLE = "RECON_TOKEN"
"""Where the token is looked for when none is given, so that it need not stand in a list of processes."""

_BUSY = (408, 423, 429, 500, 502, 503, 504)
"""Answers after which the same request may succeed: too slow, another producer, too fast, trouble of a proxy."""

_MAX_ANSWER = 64 << 10


@dataclass(frozen=True)
class PushPatience:
    """How long a producer tries.

    Attributes:
        timeout: seconds for one answer.
        first_wait: seconds before the second try; each further wait is twice as long.
        longest_wait: seconds between tries.
        give_up: seconds without any success after which an error is raised.
        look: seconds between looks at a folder that grows.
    """

    timeout: float = 60.0
    first_wait: float = 0.5
    longest_wait: float = 15.0
    give_up: float = 600.0
    look: float = 0.1


@dataclass
class Pushed:
    """What was sent: records and their bytes, and how many frames the server has."""

    records: int = 0
    bytes: int = 0
    frames: int = 0


def push_stream(
    folder: str | os.PathLike[str],
    address: str,
    token: str,
    *,
    follow: bool = False,
    patience: PushPatience | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> Pushed:
    """Send a stream's frames, from the first that the server does not have; end it there when it has ended here.

    Args:
        address: of the server, as `recon serve` prints it.
        token: the server's token for producers.
        follow: go on until the stream ends, sending what comes; else what is there now, and the server's stream stays
            open if this one is.
        progress: is told of trouble and of waiting.

    Raises:
        ReconError: when the server refuses the stream, or cannot be reached for too long.
    """
    return _Producer(Path(folder), address, token, patience or PushPatience(), progress).run(follow)


class _LostError(Exception):
    """The server could not be reached, or is busy; the same may work later.

    Attributes:
        wait: seconds that the server asks to wait.
    """

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


class _MovedOnError(Exception):
    """The server expects another frame than the one that it was sent."""


class _Producer:
    def __init__(
        self,
        folder: Path,
        address: str,
        token: str,
        patience: PushPatience,
        progress: Callable[[str], None],
    ) -> None:
        self._folder = folder
        self._server = _Server(address, token, patience.timeout)
        self._patience = patience
        self._progress = progress
        self._pushed = Pushed()
        self._failing_since: float | None = None

    def run(self, follow: bool) -> Pushed:
        """Try until everything is sent; after any trouble ask the server where to go on."""
        wait, moves = self._patience.first_wait, 0
        while True:
            sent = self._pushed.records
            try:
                self._send_all(follow)
                return self._pushed
            except _MovedOnError as error:
                # Once is the answer that was lost; again and again is somebody else.
                moves = moves + 1 if self._pushed.records == sent else 0
                if moves > 2:
                    raise ReconError(f"the server's stream is not this one: {error}") from None
            except _LostError as error:
                now = time.monotonic()
                if self._failing_since is None:
                    self._failing_since, wait = now, self._patience.first_wait
                if now - self._failing_since > self._patience.give_up:
                    raise ReconError(f"{error}; given up after {now - self._failing_since:.0f} s") from None
                seconds = max(wait, min(error.wait, 2 * self._patience.longest_wait))
                self._progress(f"{error}; trying again in {seconds:.0f} s")
                time.sleep(seconds)
                wait = min(2 * wait, self._patience.longest_wait)
            finally:
                self._server.close()

    def _send_all(self, follow: bool) -> None:
        expected = self._begin(follow)
        follower = StreamFollower(self._folder, expected)
        while True:
            for record in follower.poll():
                self._send(record)
            if follower.ended or not follow:
                break
            time.sleep(self._patience.look)
        if not follower.ended or follower.manifest is None:
            return
        if expected > follower.manifest.frames:
            raise ReconError(
                f"the server has {expected} frames, more than {self._folder}: it is another stream"
            )
        self._pushed.frames = int(self._call("end", b"{}", "application/json")["frames"])

    def _begin(self, follow: bool) -> int:
        """Say what the stream is, once there is one; return the frame that the server expects."""
        follower = StreamFollower(self._folder, None)
        while True:
            for _ in follower.poll():
                pass
            if follower.manifest is not None:
                break
            if not follow:
                raise ReconError(f"{self._folder} holds no stream; wait for one with --follow")
            time.sleep(self._patience.look)
        manifest = follower.manifest
        told = {
            name: getattr(manifest, name) for name in ("fps", "up", "near", "title", "licence", "cameras")
        }
        answer = self._call("begin", json.dumps(told).encode(), "application/json")
        self._pushed.frames = _expected(answer)
        return self._pushed.frames

    def _send(self, record: FollowedRecord) -> None:
        answer = self._call("record", record.content, "application/octet-stream")
        self._pushed.records += 1
        self._pushed.bytes += len(record.content)
        self._pushed.frames = _expected(answer)

    def _call(self, what: str, body: bytes, media_type: str) -> dict[str, Any]:
        status, wait, answer = self._server.post(what, body, media_type)
        sentence = str(answer.get("error", f"status {status}"))[:500]
        if status == 200:
            self._failing_since = None
            return answer
        if status == 409 and "expected" in answer:
            raise _MovedOnError(sentence)
        if status in _BUSY:
            raise _LostError(f"{self._server.name} answers: {sentence}", wait)
        raise ReconError(f"{self._server.name} refuses the stream: {sentence}")


class _Server:
    """One connection that is kept open from frame to frame."""

    def __init__(self, address: str, token: str, timeout: float) -> None:
        parts = _checked(address)
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            raise ReconError(
                f"a token is needed to send frames: --token, or {TOKEN_VARIABLE} in the environment"
            )
        self.name = f"{parts.scheme}://{parts.netloc}{parts.path}"
        self._secure = parts.scheme == "https"
        self._host, self._port = str(parts.hostname), parts.port
        self._path = parts.path.rstrip("/") + "/api/ingest/"
        self._headers = {"Authorization": f"Bearer {token}", "Recon-Producer": secrets.token_urlsafe(12)}
        self._timeout = timeout
        self._connection: http.client.HTTPConnection | None = None

    def post(self, what: str, body: bytes, media_type: str) -> tuple[int, float, dict[str, Any]]:
        """Return the status, the seconds to wait where some are stated, and the answer."""
        kept = self._connection is not None
        try:
            try:
                response, content = self._exchange(what, body, media_type)
            except (OSError, http.client.HTTPException):
                if not kept:
                    raise
                # A server closes connections that were idle for some seconds; that is no trouble yet.
                self.close()
                response, content = self._exchange(what, body, media_type)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            if isinstance(error, ssl.SSLCertVerificationError):
                raise ReconError(f"{self.name} has no valid certificate: {error.verify_message}") from None
            raise _LostError(f"{self.name}: {str(error) or type(error).__name__}") from None
        stated = response.headers.get("Retry-After", "")
        wait = float(stated) if stated.isascii() and stated.isdigit() and len(stated) < 6 else 0.0
        try:
            answer = json.loads(content)
        except (ValueError, RecursionError):
            answer = None
        return response.status, wait, answer if isinstance(answer, dict) else {}

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _exchange(self, what: str, body: bytes, media_type: str) -> tuple[http.client.HTTPResponse, bytes]:
        if self._connection is None:
            self._connection = self._connect()
        headers = {**self._headers, "Content-Type": media_type}
        # A server that refuses a large body answers without reading it all.
        with suppress(BrokenPipeError, ConnectionResetError):
            self._connection.request("POST", self._path + what, body, headers)
        response = self._connection.getresponse()
        content = response.read(_MAX_ANSWER)
        if response.will_close or not response.isclosed():
            self.close()
        return response, content

    def _connect(self) -> http.client.HTTPConnection:
        if self._secure:
            return http.client.HTTPSConnection(
                self._host, self._port, timeout=self._timeout, context=ssl.create_default_context()
            )
        return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)


def _checked(address: str) -> SplitResult:
    """Take the server's address apart.

    Raises:
        ReconError: when it is none, or holds a secret.
    """
    try:
        parts = urlsplit(address)
        valid = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port)
    except ValueError:
        valid = False
    if not valid:
        raise ReconError(
            f"{address.partition('#')[0]} is no address of a server, such as http://127.0.0.1:8000/"
        )
    if parts.username is not None or parts.query or parts.fragment:
        raise ReconError(
            "leave tokens and all else out of the address: it ends up in logs. The token is given by --token, "
            f"or by {TOKEN_VARIABLE} in the environment"
        )
    return parts


def _expected(answer: dict[str, Any]) -> int:
    expected = answer.get("expected")
    if type(expected) is not int or expected < 0:
        raise ReconError("the server does not answer as one that takes frames: update recon on both sides")
    return expected
