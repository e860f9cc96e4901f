"""The live feed: what a training tells, what a page may do, and that nobody can hold the training up."""

import asyncio
import json
import struct
import threading
import time

import numpy as np
import pytest
import torch

from recon.server.access import Access
from recon.server.app import create_app
from recon.server.live_feed import MAX_HISTORY, Client, LiveFeed
from recon.server.live_socket import LiveSocket
from recon.server.live_training import LiveTraining
from recon.server.page_files import load_page
from recon.server.running import running
from recon.server.session import Stage, live_session
from recon.server.sockets import Patience
from recon.server.splat_frames import HEADER, encode_frame
from recon.splats import Gaussians

LIVE = "ws://127.0.0.1:8000/api/live"
OWN = {"origin": "http://127.0.0.1:8000"}


def gaussians(count: int, coefficients: int = 4, seed: int = 0) -> Gaussians:
    generator = torch.Generator().manual_seed(seed)
    shapes = {
        "means": (3,),
        "log_scales": (3,),
        "quaternions": (4,),
        "opacity_logits": (),
        "sh": (coefficients, 3),
    }
    return Gaussians(**{name: torch.randn(count, *s, generator=generator) for name, s in shapes.items()})


def decode(messages) -> tuple[int, Gaussians]:
    """Read a frame back, by the words of docs/viewer-protocol.md alone."""
    parts, frame, expected_row = [], None, 0
    for message in messages:
        magic, version, number, total, first, rows, coefficients, flags = HEADER.unpack_from(message)
        assert (magic, version, first) == (b"RCLV", 1, expected_row)
        assert flags == (1 if first == 0 else 0) and frame in (None, number)
        frame, expected_row = number, first + rows
        floats = np.frombuffer(message, "<f4", 11 * rows, HEADER.size)
        means, log_scales, quaternions, opacities = np.split(
            floats, np.cumsum([3 * rows, 3 * rows, 4 * rows])
        )
        sh = np.frombuffer(message, "<f2", 3 * coefficients * rows, HEADER.size + 44 * rows)
        assert len(message) == HEADER.size + 44 * rows + 6 * coefficients * rows
        shapes = ((means, 3), (log_scales, 3), (quaternions, 4))
        arrays = [a.reshape(rows, width) for a, width in shapes]
        arrays += [opacities, sh.reshape(rows, coefficients, 3).astype(np.float32)]
        parts.append(Gaussians(*(torch.from_numpy(a.copy()) for a in arrays)))
    assert expected_row == total
    return frame, Gaussians.concatenate(parts)


@pytest.mark.parametrize("coefficients", [1, 4, 9, 16])
def test_a_frame_holds_the_gaussians_exactly_but_for_the_harmonics(coefficients):
    original = gaussians(250, coefficients)
    messages = list(encode_frame(original, 7, rows=100))
    frame, decoded = decode(messages)
    assert frame == 7 and len(messages) == 3
    for name in ("means", "log_scales", "quaternions", "opacity_logits"):
        assert torch.equal(getattr(decoded, name), getattr(original, name))
    assert torch.equal(decoded.sh, original.sh.half().float())
    assert struct.unpack_from("<I", messages[1], 16) == (100,), "the second part starts at row 100"


def test_a_coefficient_beyond_half_precision_stays_finite():
    original = gaussians(3)
    original.sh[0, 0, 0] = 1e6
    _, decoded = decode(encode_frame(original, 1))
    assert torch.isfinite(decoded.sh).all()


def test_a_page_is_told_history_then_progress_then_frames(make_client):
    feed, stage = LiveFeed(), Stage(live_session(None))
    feed.add_row(10, 0.5, 20.0, 100)
    feed.publish(state="training", iteration=10)
    client = make_client(stage, feed=feed)
    with client.websocket_connect(LIVE, headers=OWN) as socket:
        assert socket.receive_json() == {"type": "history", "rows": [[10, 0.5, 20.0, 100]]}
        progress = socket.receive_json()
        assert (progress["type"], progress["state"], progress["iteration"]) == ("progress", "training", 10)
        keys = {"phase", "iterations", "loss", "psnr", "gaussians", "rate", "eta", "message"}
        assert keys <= set(progress)
        feed.show(tuple(encode_frame(gaussians(5), 1)), 1)
        assert decode([socket.receive_bytes()])[0] == 1
        feed.show(tuple(encode_frame(gaussians(5), 2)), 2)
        feed.publish(iteration=11)
        assert socket.receive_json()["iteration"] == 11, "no second frame before the first is acknowledged"
        assert not feed.frame_wanted
        socket.send_json({"type": "ack", "frame": 99})
        socket.send_json({"type": "ack", "frame": 1})
        assert decode([socket.receive_bytes()])[0] == 2
        feed.session_changed()
        assert socket.receive_json() == {"type": "session"}


def test_a_page_pauses_resumes_and_stops(make_client):
    feed = LiveFeed()
    with make_client(Stage(live_session(None)), feed=feed).websocket_connect(LIVE, headers=OWN) as socket:
        for message, state in (("pause", (True, False)), ("resume", (False, False)), ("stop", (False, True))):
            socket.send_json({"type": message})
            _until(lambda state=state: (feed.paused, feed.stop_requested) == state)


def test_history_is_bounded():
    feed = LiveFeed()
    for iteration in range(3 * MAX_HISTORY):
        feed.add_row(iteration, 1.0, 1.0, 1)
    rows = feed.connect(Client(lambda: None))
    assert len(rows) <= MAX_HISTORY and rows[0][0] == 0 and rows[-1][0] > 3 * MAX_HISTORY - 8


# A training that is watched


class Watched:
    """A real trainer on a small scene, watched by a real feed, on a thread of its own."""

    def __init__(self, scene, iterations: int) -> None:
        from recon.methods.options import ReconstructOptions, resolve
        from recon.methods.pipeline import method_module
        from recon.methods.stereo_inputs import stereo_inputs

        changes = (f"train.iterations={iterations}", "initial.count=3000", "stereo.planes=64")
        settings = resolve(
            ReconstructOptions(photos=".", output=".", preset="quick", device="cpu", settings=changes)
        )
        inputs = stereo_inputs(scene.train_views, settings.stereo_config, bounds=scene.bounds)
        self.trainer = method_module("quality").compose(
            inputs, settings.method_config, 0, torch.device("cpu")
        )
        self.feed = LiveFeed()
        self.watcher = LiveTraining(self.feed, Stage(live_session(None, scene)))
        self.watcher.training(self.trainer)
        self.thread = threading.Thread(target=self.trainer.run)


def test_a_training_is_paused_seen_and_stopped_early(textured_scene, make_client):
    watched = Watched(textured_scene.scene, 100_000)
    client = make_client(watched.watcher.stage, feed=watched.feed)
    with client.websocket_connect(LIVE, headers=OWN) as socket:
        watched.thread.start()
        frame = None
        while frame is None:
            message = socket.receive()
            if message.get("bytes"):
                frame, shown = decode([message["bytes"]])
        assert len(shown) == len(watched.trainer.gaussians) and torch.isfinite(shown.means).all()
        socket.send_json({"type": "pause"})
        _until(lambda: watched.feed.progress["state"] == "paused")
        before = watched.trainer.iteration
        time.sleep(0.2)
        assert watched.trainer.iteration == before
        with client.websocket_connect(LIVE, headers=OWN) as second:
            while not (message := second.receive()).get("bytes"):
                pass
            _, still = decode([message["bytes"]])
        assert torch.equal(still.means, watched.trainer.gaussians.gaussians.means.detach()), (
            "what is now, not before"
        )
        socket.send_json({"type": "resume"})
        _until(lambda: watched.trainer.iteration > before and watched.feed.progress["rate"] > 0)
        socket.send_json({"type": "stop"})
        watched.thread.join(60)
    assert not watched.thread.is_alive() and watched.trainer.stopped_early
    progress = watched.feed.progress
    assert progress["loss"] is not None and progress["iterations"] == 100_000


def test_without_a_client_no_frame_is_made(textured_scene):
    watched = Watched(textured_scene.scene, 5)
    watched.trainer.run()
    assert watched.feed.frame is None and watched.trainer.iteration == 5 and not watched.trainer.stopped_early


# A real server, for what only a network shows


def test_a_slow_client_is_dropped_and_delays_nobody(page_folder):
    """One client never reads: it is sent away, and meanwhile telling the others takes no longer."""
    from websockets.sync.client import connect

    feed, access = LiveFeed(), Access()
    app = create_app(Stage(live_session(None)), access, load_page(page_folder), feed, Patience(send=1.0))
    big = tuple(encode_frame(gaussians(200_000, 16), 1))
    with running(app, "127.0.0.1", 0, access) as address:
        url, own = address.replace("http", "ws") + "api/live", address.rstrip("/")
        # A small window: the system would otherwise buffer megabytes for the client.
        slow = _connect_raw(address, own)
        with connect(url, origin=own, max_size=None) as quick:
            _until(lambda: feed.clients == 2)
            feed.show(big, 1)
            seen, longest = 0, 0.0
            started = time.monotonic()
            while feed.clients == 2 and time.monotonic() - started < 20:
                begun = time.perf_counter()
                feed.publish(iteration=seen)
                longest = max(longest, time.perf_counter() - begun)
                while not _is_progress(quick.recv(timeout=20)):
                    pass
                seen += 1
                time.sleep(0.02)
            assert feed.clients == 1, "the client that reads nothing was not dropped"
            assert seen > 0 and longest < 0.5
        slow.close()


def test_a_stalled_client_holds_one_message_and_no_more():
    """Whatever the training makes meanwhile, nothing piles up for a client that takes nothing."""

    class Stalled:
        application_state = None
        given = 0

        async def accept(self) -> None:
            pass

        async def receive(self) -> dict:
            await asyncio.Event().wait()
            return {}

        async def send_text(self, text: str) -> None:
            pass

        async def send_bytes(self, content: bytes) -> None:
            self.given += 1
            await asyncio.Event().wait()

    async def watch() -> Stalled:
        socket, feed = Stalled(), LiveFeed()
        serving = asyncio.create_task(LiveSocket(feed, Access(), Patience(send=0.3)).answer(socket))
        for number in range(1, 50):
            feed.show(tuple(encode_frame(gaussians(40, 1), number, rows=10)), number)
            feed.publish(iteration=number)
            await asyncio.sleep(0)
        await asyncio.wait_for(serving, 60)
        assert feed.clients == 0
        return socket

    assert asyncio.run(watch()).given == 1


def test_too_large_a_message_ends_a_real_connection(page_folder):
    from websockets.exceptions import ConnectionClosed
    from websockets.sync.client import connect

    access = Access()
    app = create_app(Stage(live_session(None)), access, load_page(page_folder), LiveFeed())
    with running(app, "127.0.0.1", 0, access) as address:
        with connect(address.replace("http", "ws") + "api/live", origin=address.rstrip("/")) as socket:
            socket.send("x" * 100_000)
            with pytest.raises(ConnectionClosed) as closed:
                while True:
                    socket.recv(timeout=20)
        assert closed.value.rcvd.code == 1009


def _connect_raw(address: str, own: str):
    """Open the feed by hand on a socket that then never reads."""
    import socket

    host, port = address.removeprefix("http://").rstrip("/").split(":")
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.connect((host, int(port)))
    raw.sendall(
        f"GET /api/live HTTP/1.1\r\nHost: {host}:{port}\r\nOrigin: {own}\r\n"
        "Connection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
    )
    return raw


def _is_progress(message) -> bool:
    return isinstance(message, str) and json.loads(message)["type"] == "progress"


def _until(condition, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)
