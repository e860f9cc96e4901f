"""`recon serve`: one stream for many, live while it grows, and frames from a producer elsewhere."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from recon.errors import ReconError
from recon.server.access import Access, check_token, choose_access, make_token
from recon.server.app import create_app
from recon.server.page_files import FOLDER, load_page
from recon.server.running import running
from recon.server.session import Stage, is_stream
from recon.server.stream_service import StreamService
from recon.server.stream_session import stream_session
from recon.server.view import announce, until_interrupted
from recon.streaming.push import TOKEN_VARIABLE

MAX_CONNECTIONS = 512
"""At a time; a page has up to six beside its socket. More players are for a static host, which needs none of this."""


@dataclass(frozen=True)
class ServeOptions:
    """How a stream is served; see recon/cli/serve.py for what each means."""

    port: int = 0
    host: str = "127.0.0.1"
    token: str | None = None
    ingest: bool = False
    ingest_token: str | None = None
    share: bool = False
    browser: bool = False
    page: Path = FOLDER


def serve(folder: Path, options: ServeOptions) -> None:
    """Serve a stream's folder until Ctrl-C.

    Raises:
        ReconError: when there is no stream and none can come, or the address cannot be listened at.
    """
    access, page = choose_serve_access(options), load_page(options.page)
    if options.ingest:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ReconError(f"{folder} cannot be made: {error.strerror or error}") from None
    elif not is_stream(folder):
        raise ReconError(
            f"{folder} holds no stream (no manifest.json); with --ingest frames can be sent there, "
            "and `recon view` shows runs and splats"
        )
    stage = Stage(stream_session(folder))
    stream = StreamService(folder, stage, share=options.share, ingest=options.ingest)
    app = create_app(stage, access, page, stream=stream)
    with stream.following(), running(app, options.host, options.port, access, MAX_CONNECTIONS) as address:
        if options.ingest:
            _tell_producer(address.partition("#")[0], access, options)
        announce(f"{folder} is served at", address, "Ctrl-C ends", options.browser)
        until_interrupted()


def choose_serve_access(options: ServeOptions) -> Access:
    """Return who may look and who may send.

    Raises:
        ReconError: when a token can be guessed, or both are the same.
    """
    access = choose_access(options.host, options.token)
    if not options.ingest:
        if options.ingest_token is not None:
            raise ReconError("--ingest-token is for --ingest, which was not given")
        return access
    token = options.ingest_token or os.environ.get(TOKEN_VARIABLE)
    if token is not None:
        check_token(token, "--ingest-token")
    return replace(access, ingest_token=token or make_token())


def _tell_producer(address: str, access: Access, options: ServeOptions) -> None:
    print(f"frames are taken from `recon stream push STREAM {address}`", end="")
    if options.ingest_token is None and not os.environ.get(TOKEN_VARIABLE):
        print(f" with {TOKEN_VARIABLE}={access.ingest_token} in its environment", end="")
    print(flush=True)
