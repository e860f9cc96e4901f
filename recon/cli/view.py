"""`recon view`: look at a run, a splat file or a stream in the browser."""

from __future__ import annotations

from pathlib import Path

from tyro.conf import Positional


def view(
    path: Positional[Path],
    /,
    port: int = 0,
    host: str = "127.0.0.1",
    token: str | None = None,
    browser: bool = True,
) -> None:
    """Look at a run folder, a splat (.ply, .spz, .splat) or a stream in the browser; ends with Ctrl-C.

    Only this machine can connect. With --host 0.0.0.0 other machines can, if they know the token that is printed.

    Args:
        path: a run folder made by `recon reconstruct`, a splat file, or the folder of a stream.
        port: where to listen; 0 takes any port that is free.
        host: address to listen at; any but this machine's own needs a token.
        token: what a browser must know to connect, at least 16 characters; made up where one is needed.
        browser: open the page in the default browser.
    """
    from recon.server.view import ViewOptions
    from recon.server.view import view as show

    show(path, ViewOptions(port=port, host=host, token=token, browser=browser))
