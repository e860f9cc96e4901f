"""`recon serve`: a stream for many."""

from __future__ import annotations

from pathlib import Path

from tyro.conf import Positional


def serve(
    stream: Positional[Path],
    /,
    port: int = 0,
    host: str = "127.0.0.1",
    token: str | None = None,
    ingest: bool = False,
    ingest_token: str | None = None,
    share: bool = False,
    browser: bool = False,
) -> None:
    """Serve a stream of moving Gaussians: the page, its files, and new frames as they are written; ends with Ctrl-C.

    The folder may still grow, by any process. With --ingest frames come from elsewhere: `recon stream push`.

    Args:
        stream: a folder with a `manifest.json`; with --ingest it may be new.
        port: where to listen; 0 takes any port that is free.
        host: address to listen at; any but this machine's own needs a token.
        token: what a browser must know to connect, at least 16 characters; made up where one is needed.
        ingest: take frames from one producer at a time.
        ingest_token: what the producer must know; else the environment's RECON_TOKEN, else one is made up and printed.
        share: let pages of other origins read the manifest and the .rst files (CORS), still with the token.
        browser: open the page in the default browser.
    """
    from recon.server.serve import ServeOptions
    from recon.server.serve import serve as run

    run(stream, ServeOptions(port, host, token, ingest, ingest_token, share, browser))
