"""`recon view` and `recon reconstruct --view`: show something until the person has seen enough."""

from __future__ import annotations

import sys
import threading
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from recon.errors import ReconError
from recon.methods.options import ReconstructOptions
from recon.server.access import choose_access
from recon.server.app import create_app
from recon.server.live_feed import LiveFeed
from recon.server.live_training import LiveTraining
from recon.server.page_files import FOLDER, load_page
from recon.server.running import open_browser, running
from recon.server.session import Stage, is_stream, live_session, open_session
from recon.server.stream_service import StreamService

_FAREWELL_SECONDS = 1.0
"""A failed reconstruction waits so long for its last message to reach the pages."""


@dataclass(frozen=True)
class ViewOptions:
    """Where the viewer is served; see recon/cli/view.py for what each means."""

    port: int = 0
    host: str = "127.0.0.1"
    token: str | None = None
    browser: bool = True
    page: Path = FOLDER


def view(path: Path, options: ViewOptions) -> None:
    """Show a run folder, a splat file or a stream until Ctrl-C.

    Raises:
        ReconError: when it cannot be read, or the address cannot be listened at.
    """
    access, page = choose_access(options.host, options.token), load_page(options.page)
    stage = Stage(open_session(path))
    stream = StreamService(path, stage) if is_stream(path) else None
    app = create_app(stage, access, page, stream=stream)
    with (
        stream.following() if stream else nullcontext(),
        running(app, options.host, options.port, access) as address,
    ):
        announce(f"{path} is shown at", address, "Ctrl-C ends", options.browser)
        until_interrupted()


def reconstruct_and_view(reconstruction: ReconstructOptions, options: ViewOptions) -> None:
    """Reconstruct, showing how it goes, and go on showing the result until Ctrl-C.

    Raises:
        ReconError: as `recon.methods.pipeline.reconstruct`, or when the address cannot be listened at.
    """
    from recon.methods.pipeline import reconstruct

    access, page = choose_access(options.host, options.token), load_page(options.page)
    feed, stage = LiveFeed(), Stage(live_session(None))
    watcher = LiveTraining(feed, stage)
    with running(create_app(stage, access, page, feed), options.host, options.port, access) as address:
        announce("the reconstruction is shown at", address, "Ctrl-C interrupts it", options.browser)
        try:
            run = reconstruct(reconstruction, watcher)
        except ReconError as error:
            watcher.failed(str(error))
            threading.Event().wait(_FAREWELL_SECONDS)
            raise
        announce(f"{run.path} is finished; it is shown at", address, "Ctrl-C ends", False)
        until_interrupted()


def announce(what: str, address: str, ending: str, browser: bool) -> None:
    """Print where something is shown, and show it."""
    print(f"{what} {address} ({ending})", flush=True)
    if browser:
        open_browser(address)


def until_interrupted() -> None:
    """Wait for Ctrl-C."""
    try:
        while True:
            threading.Event().wait(3600)
    except KeyboardInterrupt:
        print(file=sys.stderr)
