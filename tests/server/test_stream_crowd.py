"""A stream on a real server: many players at once, one that is too slow for it, and a program that is started again."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from recon.server.access import Access
from recon.server.app import create_app
from recon.server.page_files import load_page
from recon.server.running import running
from recon.server.serve import MAX_CONNECTIONS
from recon.server.session import Stage
from recon.server.sockets import Patience
from recon.server.stream_feed import FeedLimits
from recon.server.stream_service import StreamService
from recon.server.stream_session import stream_session
from recon.streaming import Codec, StreamOptions, StreamWriter
from recon.streaming.manifest import read_manifest
from tests.server.players import Player
from tests.server.programs import start_program
from tests.streaming.made_up_streams import first_state, random_residual, write_stream

PLAYERS = 50


@contextmanager
def served(folder, page_folder, patience: Patience | None = None, **options):
    """Serve as `recon serve` does; yields the address and the service."""
    access, stage = Access(), Stage(stream_session(folder))
    service = StreamService(folder, stage, **options)
    app = create_app(stage, access, load_page(page_folder), None, patience, service)
    with service.following(), running(app, "127.0.0.1", 0, access, MAX_CONNECTIONS) as address:
        yield address, service


class Reader(Player):
    """A player with a connection of its own."""

    def __init__(self, address: str) -> None:
        host = address.removeprefix("http://").rstrip("/")
        self.connection = http.client.HTTPConnection(host, timeout=60)
        super().__init__(self.get)

    def get(self, name: str) -> bytes:
        try:
            self.connection.request("GET", f"/api/stream/{name}")
            answer = self.connection.getresponse()
        except (ConnectionError, http.client.RemoteDisconnected):  # it was idle for too long
            self.connection.close()
            self.connection.request("GET", f"/api/stream/{name}")
            answer = self.connection.getresponse()
        assert answer.status == 200, (name, answer.status)
        return answer.read()


def live(address: str, **options):
    return connect(
        address.replace("http", "ws") + "api/stream/live",
        origin=address.rstrip("/"),
        max_size=None,
        compression=None,
        open_timeout=60,
        **options,
    )


def at_once(count: int, work) -> list:
    """Do the same on so many threads, begun together; returns what each returned."""
    barrier, results, errors = threading.Barrier(count), [None] * count, []

    def one(number: int) -> None:
        try:
            barrier.wait(60)
            results[number] = work(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not errors, errors[0]
    return results


def test_fifty_readers_at_once(tmp_path, page_folder):
    """Each reads every file of the stream on a connection of its own, and ends with the same state."""
    writer = write_stream(tmp_path, 40, 20, fps=10, keyframe_seconds=1.0, segment_seconds=0.5)
    names = [file.name for file in (*read_manifest(tmp_path).keyframes, *read_manifest(tmp_path).segments)]
    with served(tmp_path, page_folder) as (address, _):

        def read(_: int):
            reader = Reader(address)
            files = {name: reader.get(name) for name in names}
            assert all((tmp_path / name).read_bytes() == content for name, content in files.items())
            return reader.catch_up().state.checksum()

        started = time.monotonic()
        checksums = at_once(PLAYERS, read)
        assert time.monotonic() - started < 20
    assert checksums == [writer.state.checksum()] * PLAYERS


def test_fifty_players_of_a_growing_stream(tmp_path, page_folder):
    """They join before, while and after frames come; files and socket together lead each to the same end."""
    options = StreamOptions(fps=10, segment_seconds=0.5, keyframe_seconds=1.0)
    writer = StreamWriter.create(tmp_path, first_state(30, 0), options)
    rng = np.random.default_rng(0)
    grow = threading.Thread(target=lambda: _grow(writer, rng, 30, pause=0.05))
    with served(tmp_path, page_folder) as (address, service):

        def play(number: int):
            time.sleep(0.03 * number)
            player = Reader(address)
            with live(address) as messages:
                player.catch_up()
                try:
                    while not player.ended:
                        message = messages.recv(timeout=60)
                        while not player.take(message):
                            time.sleep(0.1)  # between two files: the next one has it
                            player.catch_up()
                except ConnectionClosed:
                    pass
            assert player.told[0]["type"] == "stream" and player.told[-1] == {"type": "end", "frames": 31}
            return player.catch_up().state.checksum()

        grow.start()
        checksums = at_once(PLAYERS, play)
        grow.join()
        _until(lambda: service.feed.clients == 0)
    assert checksums == [writer.state.checksum()] * PLAYERS


def _grow(writer, rng, frames: int, pause: float = 0.0) -> None:
    for _ in range(frames):
        writer.append(random_residual(writer.state, rng))
        time.sleep(pause)
    writer.close()


def test_a_thin_line_skips_and_a_dead_one_is_dropped(tmp_path, page_folder):
    """A quick player gets every frame, a slow one keyframes and the same end, and who takes nothing is sent away."""
    # Large frames: the system buffers megabytes for each connection before the server notices anything.
    options = StreamOptions(fps=10, segment_seconds=0.5, keyframe_seconds=1.0, codecs=(Codec.RAW,))
    writer = StreamWriter.create(tmp_path, first_state(20_000, 1), options)
    rng = np.random.default_rng(0)
    with served(tmp_path, page_folder, Patience(send=3.0), feed_limits=FeedLimits(frames=6)) as (
        address,
        service,
    ):
        dead = _connect_raw(address)
        quick, slow = Reader(address).catch_up(), Reader(address).catch_up()
        thin = socket.socket()
        thin.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        thin.connect(("127.0.0.1", int(address.rsplit(":", 1)[1].rstrip("/"))))
        with live(address) as lively, live(address, sock=thin, max_queue=1) as sluggish:
            _until(lambda: service.feed.clients == 3)
            for frame in range(1, 46):
                writer.append(random_residual(writer.state, rng, share=0.5))
                while quick.frame < frame:
                    assert quick.take(lively.recv(timeout=60)), "the quick one misses nothing"
                assert quick.state.checksum() == writer.state.checksum()
                if frame % 6 == 0:
                    slow.take(sluggish.recv(timeout=60))
            writer.close()
            try:
                while not slow.ended:
                    message = sluggish.recv(timeout=60)
                    if not slow.take(message):
                        assert slow.catch_up().take(message)
            except ConnectionClosed:
                pass
        assert quick.skips == 0
        assert slow.skips or not slow.ended, "neither skipped nor dropped, although it took next to nothing"
        assert slow.catch_up().state.checksum() == quick.catch_up().state.checksum()
        _until(lambda: service.feed.clients == 0)
        dead.close()


def test_the_server_ends_and_comes_back(tmp_path, page_folder):
    """Players go on where they were, although frames came while nobody served."""
    options = StreamOptions(fps=10, segment_seconds=0.5, keyframe_seconds=1.0)
    writer = StreamWriter.create(tmp_path, first_state(40, 1), options)
    rng = np.random.default_rng(0)

    def append(frames: int) -> None:
        for _ in range(frames):
            writer.append(random_residual(writer.state, rng))

    append(3)
    with served(tmp_path, page_folder) as (address, _):
        player = Reader(address).catch_up()
        with live(address) as messages:
            while player.frame < 3:
                assert player.take(messages.recv(timeout=60))
            append(2)
            while player.frame < 5:
                assert player.take(messages.recv(timeout=60))
    append(9)
    with served(tmp_path, page_folder) as (address, _):
        again = Reader(address)
        again.state = player.state
        with live(address) as messages:
            while again.frame < 14:
                message = messages.recv(timeout=60)
                if not again.take(message):
                    assert again.catch_up().take(message)
    assert again.state.checksum() == writer.state.checksum() and again.skips == 0


@pytest.mark.skipif(os.name != "posix", reason="sends a signal as Ctrl-C does")
def test_the_program_serves_and_takes_frames(tmp_path, page_folder):
    """`recon serve --ingest` and `recon stream push`, each a process, as a person starts them."""
    writer = write_stream(tmp_path / "source", 40, 12, fps=10)
    code = (
        "from pathlib import Path; from recon.server.serve import ServeOptions, serve; "
        f"serve(Path('taken'), ServeOptions(ingest=True, page=Path({str(page_folder)!r})))"
    )
    server = start_program(["-c", code], tmp_path, stderr=subprocess.PIPE)
    try:
        told = server.stdout.readline()
        address, token = re.search(r"push STREAM (\S+)` with RECON_TOKEN=(\S+) in", told).groups()
        assert token not in address and "is served at" in server.stdout.readline()
        push = subprocess.run(
            [*server.args[:1], "-m", "recon.cli.main", "stream", "push", str(tmp_path / "source"), address],
            env={**os.environ, "RECON_TOKEN": token},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert push.returncode == 0 and "the server has 12 frames" in push.stdout, push.stderr
        assert Reader(address).catch_up().state.checksum() == writer.state.checksum()
        server.send_signal(signal.SIGINT)
        _, errors = server.communicate(timeout=60)
        assert server.returncode == 0 and "Traceback" not in errors, errors
    finally:
        server.kill()
    assert json.loads((tmp_path / "taken" / "manifest.json").read_text())["live"] is False


def _connect_raw(address: str) -> socket.socket:
    """Open the socket by hand and then never read."""
    host, port = address.removeprefix("http://").rstrip("/").split(":")
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.connect((host, int(port)))
    raw.sendall(
        f"GET /api/stream/live HTTP/1.1\r\nHost: {host}:{port}\r\nOrigin: {address.rstrip('/')}\r\n"
        "Connection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
    )
    return raw


def _until(condition, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)
