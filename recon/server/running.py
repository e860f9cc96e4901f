"""Running the application: an address, a thread, and a clean end."""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from recon.errors import ReconError
from recon.server.access import Access, Application
from recon.server.sockets import MAX_MESSAGE

if TYPE_CHECKING:
    import uvicorn

_STALLED_SECONDS = 30
"""A connection whose peer takes nothing for so long is cut by the system, whatever is still buffered for it."""

_PING_SECONDS = 120
"""To answer a ping, which waits behind whatever is being sent: a keyframe takes its time on a thin line."""

MAX_CONNECTIONS = 64
_START_SECONDS = 30


@contextmanager
def running(
    application: Application, host: str, port: int, access: Access, connections: int = MAX_CONNECTIONS
) -> Iterator[str]:
    """Serve on a thread while the block runs; yield the address to open, with the token in its fragment.

    Args:
        port: 0 for any that is free.
        connections: at a time; more are told to come again later.

    Raises:
        ReconError: when the address cannot be listened at.
    """
    listener = _listen(host, port)
    server = _server(application, connections)
    thread = threading.Thread(
        target=server.run, kwargs={"sockets": [listener]}, name="recon-server", daemon=True
    )
    thread.start()
    try:
        _wait_until_started(server, thread)
        yield _address(host, listener.getsockname()[1], access)
    finally:
        server.should_exit = True
        thread.join(_START_SECONDS)
        listener.close()


def open_browser(address: str) -> None:
    """Show the page in the person's browser; where there is none, the printed address must do."""
    threading.Thread(target=_open_quietly, args=(address,), daemon=True).start()


def _open_quietly(address: str) -> None:
    with suppress(webbrowser.Error, OSError):
        webbrowser.open(address)


def _listen(host: str, port: int) -> socket.socket:
    if not 0 <= port <= 65535:
        raise ReconError(f"--port {port}: ports go from 1 to 65535; 0 takes any that is free")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        # A name such as localhost may mean an IPv6 address too; the plain one works everywhere.
        family, kind, protocol, _, address = min(found, key=lambda entry: entry[0] != socket.AF_INET)
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # accepted connections inherit it
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1000 * _STALLED_SECONDS)
        listener.bind(address)
        listener.listen(128)
    except OSError as error:
        remedy = "choose another --port, or leave it out" if port else "give another --host"
        raise ReconError(f"cannot listen at {host}:{port}: {error.strerror or error}; {remedy}") from None
    return listener


def _server(application: Application, connections: int) -> uvicorn.Server:
    import uvicorn

    return uvicorn.Server(
        uvicorn.Config(
            application,
            log_level="warning",
            access_log=False,
            lifespan="off",
            server_header=False,
            proxy_headers=False,
            ws_max_size=MAX_MESSAGE,
            ws_ping_timeout=_PING_SECONDS,
            ws_per_message_deflate=False,  # floats do not compress, and inflating costs the server memory
            limit_concurrency=connections,
            timeout_graceful_shutdown=1,
        )
    )


def _wait_until_started(server: uvicorn.Server, thread: threading.Thread) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise ReconError("the viewer's server did not start; its reason is printed above")
        time.sleep(0.02)


def _address(host: str, port: int, access: Access) -> str:
    if access.loopback:
        shown = "127.0.0.1" if host.lower() == "localhost" else host
    else:
        shown = _own_address() if _means_everywhere(host) else host
    name = f"[{shown}]" if ":" in shown else shown
    return f"http://{name}:{port}/" + ("" if access.token is None else f"#token={access.token}")


def _means_everywhere(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _own_address() -> str:
    """Return the address by which other machines most likely reach this one; nothing is sent to find out."""
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(
            ("192.0.2.1", 9)
        )  # an address for documentation; connecting a datagram socket sends nothing
        return str(probe.getsockname()[0])
    return socket.gethostname()
