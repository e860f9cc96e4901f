"""A stream that is served: what a page is told, its files, and records on the socket while it grows."""

import asyncio
import json
import os
import shutil
from contextlib import ExitStack, contextmanager

import numpy as np
import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from recon.errors import ReconError
from recon.server.access import Access
from recon.server.app import create_app
from recon.server.page_files import load_page
from recon.server.session import Stage, open_session
from recon.server.sockets import Patience
from recon.server.stream_feed import FeedLimits, StreamClient, StreamFeed
from recon.server.stream_service import StreamService
from recon.server.stream_session import stream_session
from recon.server.stream_socket import StreamSocket
from recon.streaming import StreamOptions, StreamWriter
from recon.streaming.follow import FollowedRecord
from recon.streaming.manifest import read_manifest
from recon.streaming.writer import JOURNAL
from tests.server.players import Player
from tests.streaming.made_up_streams import first_state, random_residual, write_stream

ADDRESS = "http://127.0.0.1:8000"
LIVE = "ws://127.0.0.1:8000/api/stream/live"
OWN = {"origin": ADDRESS}
TOKEN = "correct-horse-battery"

CAMERA = {
    "name": "left",
    "role": "train",
    "width": 640,
    "height": 360,
    "intrinsics": [500.0, 500.0, 320.0, 180.0],
    "world_to_camera": np.eye(4).ravel().tolist(),
}


@pytest.fixture
def serve(page_folder):
    """A function that serves a stream to a client in process; `service.tail.look()` is left to the test."""
    with ExitStack() as stack:

        def start(folder, access: Access | None = None, patience: Patience | None = None, **options):
            stage = Stage(stream_session(folder))
            service = StreamService(folder, stage, **options)
            service.tail.look()
            app = create_app(stage, access or Access(), load_page(page_folder), None, patience, service)
            client = stack.enter_context(TestClient(app, base_url=ADDRESS))
            client.service = service
            return client

        yield start


class Growing:
    """A stream that grows by a frame whenever it is asked to."""

    def __init__(self, folder, **options) -> None:
        options = {"fps": 10, "segment_seconds": 0.5, "keyframe_seconds": 1.0, "cameras": [CAMERA], **options}
        self.writer = StreamWriter.create(folder, first_state(40, 1), StreamOptions(**options))
        self.rng = np.random.default_rng(1)

    def grow(self, frames: int = 1) -> None:
        for _ in range(frames):
            self.writer.append(random_residual(self.writer.state, self.rng))

    @property
    def checksum(self):
        return self.writer.state.checksum()


@pytest.fixture
def growing(tmp_path):
    return Growing(tmp_path / "s")


def player(client, **headers) -> Player:
    def fetch(name: str) -> bytes:
        answer = client.get(f"/api/stream/{name}", headers=headers)
        assert answer.status_code == 200, name
        return answer.content

    return Player(fetch)


def receive(socket):
    message = socket.receive()
    if message["type"] == "websocket.close":
        raise WebSocketDisconnect(message.get("code", 1000), message.get("reason"))
    return message["text"] if message.get("text") is not None else message["bytes"]


# What a page is told


def test_a_page_is_told_of_a_stream(growing, serve, tmp_path, run):
    growing.grow(7)
    client = serve(tmp_path / "s")
    told = client.get("/api/session").json()
    assert (told["kind"], told["splat"], told["pictures"], told["live"]) == ("stream", None, False, False)
    assert told["stream"] == {"manifest": "api/stream/manifest.json", "socket": "api/stream/live"}
    assert told["cameras"] == [
        {"id": "c0", **CAMERA, "photo": None, "picture": None, "psnr": None, "ssim": None}
    ]
    assert told["up"] == [0.0, -1.0, 0.0] and told["title"] == "s"
    growing.writer.close()
    client.service.tail.look()
    assert client.get("/api/session").json()["stream"]["socket"] is None
    assert open_session(tmp_path / "s").description["kind"] == "stream"
    assert open_session(run.path).description["stream"] is None


@pytest.mark.parametrize(
    "change",
    [
        {"name": 7},
        {"name": "x" * 300},
        {"role": "<script>"},
        {"width": -1},
        {"height": True},
        {"intrinsics": [1.0, 2.0]},
        {"intrinsics": [1.0, 2.0, "3", 4.0]},
        {"intrinsics": [1.0, 2.0, 3.0, 10**400]},
        {"world_to_camera": [float(i) for i in range(17)]},
    ],
)
def test_cameras_that_are_none_are_left_out(tmp_path, change):
    Growing(tmp_path / "s", cameras=[{**CAMERA, **change}, {**CAMERA, "extra": "no"}, {}])
    cameras = stream_session(tmp_path / "s").description["cameras"]
    assert [camera["name"] for camera in cameras] == ["left"] and "extra" not in cameras[0]


# Files


def test_files_are_those_of_the_folder(growing, serve, tmp_path):
    growing.grow(12)
    growing.writer.close()
    client = serve(tmp_path / "s")
    manifest = client.get("/api/stream/manifest.json")
    assert manifest.headers["cache-control"] == "no-cache"
    assert manifest.content == (tmp_path / "s" / "manifest.json").read_bytes()
    again = client.get("/api/stream/manifest.json", headers={"if-none-match": manifest.headers["etag"]})
    assert again.status_code == 304 and again.content == b""
    for file in (*read_manifest(tmp_path / "s").keyframes, *read_manifest(tmp_path / "s").segments):
        answer = client.get(f"/api/stream/{file.name}")
        assert answer.content == (tmp_path / "s" / file.name).read_bytes()
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert client.head(f"/api/stream/{file.name}").headers["content-length"] == str(file.bytes)
    assert player(client).catch_up().state.checksum() == growing.checksum


@pytest.mark.parametrize(
    "name",
    [
        JOURNAL,
        "..%2fsecret.rst",
        "../secret.rst",
        "%2e%2e%2fkey-000000-0123456789abcdef.rst",
        "key-000000-0123456789abcdef.rst",
        "key-000000-0123456789ABCDEF.rst",
        "key-%d9%a0%d9%a0%d9%a0%d9%a0%d9%a0%d9%a0-0123456789abcdef.rst",
        "key-000000-0123456789abcdef.rst%00",
        "key-000000-0123456789abcdef.rst%0a",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "",
        "manifest.json/",
        "sub/key-000000-0123456789abcdef.rst",
        "notes.txt",
    ],
)
def test_nothing_else_is_served(growing, serve, tmp_path, name):
    (tmp_path / "secret.rst").write_bytes(b"not yours")
    (tmp_path / "s" / "notes.txt").write_bytes(b"not yours")
    (tmp_path / "s" / "sub").mkdir()
    (tmp_path / "s" / "sub" / "key-000000-0123456789abcdef.rst").write_bytes(b"not yours")
    growing.grow(2)
    answer = serve(tmp_path / "s").get(f"/api/stream/{name}", follow_redirects=False)
    assert answer.status_code == 404 and answer.json()["error"] and b"not yours" not in answer.content


@pytest.mark.skipif(os.name != "posix", reason="links and pipes")
def test_links_are_not_followed(growing, serve, tmp_path):
    client = serve(tmp_path / "s")
    name = read_manifest(tmp_path / "s").keyframes[0].name
    shutil.move(tmp_path / "s" / name, tmp_path / "elsewhere")
    (tmp_path / "s" / name).symlink_to(tmp_path / "elsewhere")
    assert client.get(f"/api/stream/{name}").status_code == 404
    (tmp_path / "s" / name).unlink()
    os.mkfifo(tmp_path / "s" / name)
    assert client.get(f"/api/stream/{name}").status_code == 404
    shutil.move(tmp_path / "s" / "manifest.json", tmp_path / "elsewhere.json")
    (tmp_path / "s" / "manifest.json").symlink_to(tmp_path / "elsewhere.json")
    assert client.get("/api/stream/manifest.json").status_code == 404


def test_files_are_shared_with_other_origins_only_on_request(growing, serve, tmp_path):
    growing.grow(6)
    name = read_manifest(tmp_path / "s").segments[0].name
    foreign = {"origin": "http://elsewhere.example"}
    paths = ("/api/stream/manifest.json", f"/api/stream/{name}", "/api/session", "/")
    closed = serve(tmp_path / "s")
    for path in paths:
        answer = closed.get(path, headers=foreign)
        assert not any(header.startswith("access-control") for header in answer.headers), path
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert closed.options(paths[0], headers=foreign).status_code == 405
    shared = serve(tmp_path / "s", share=True)
    for path in paths[:2]:
        answer = shared.get(path, headers=foreign)
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
        assert "access-control-allow-credentials" not in answer.headers
    for path in paths[2:]:
        answer = shared.get(path, headers=foreign)
        assert not any(header.startswith("access-control") for header in answer.headers), path
    with pytest.raises(Exception):  # noqa: B017  the refusal differs between versions of the client
        shared.websocket_connect(LIVE, headers=foreign).__enter__()
    guarded = serve(tmp_path / "s", Access(loopback=False, token=TOKEN), share=True)
    assert guarded.get(paths[0], headers=foreign).status_code == 401
    asked = guarded.options(paths[0], headers={**foreign, "access-control-request-headers": "authorization"})
    assert asked.status_code == 204 and asked.headers["access-control-allow-headers"] == "Authorization"
    bearing = {**foreign, "authorization": f"Bearer {TOKEN}"}
    assert guarded.get(paths[0], headers=bearing).headers["access-control-allow-origin"] == "*"


def test_a_stream_needs_the_token_where_there_is_one(growing, serve, tmp_path):
    client = serve(tmp_path / "s", Access(loopback=False, token=TOKEN), Patience(token=0.2))
    for path in ("/api/session", "/api/stream/manifest.json", "/api/stream/x.rst", "/api/stream/live"):
        assert client.get(path).status_code == 401
    right = {"authorization": f"Bearer {TOKEN}"}
    assert player(client, **right).catch_up().frame == 0
    for first in ({"type": "token", "token": "wrong"}, {"type": "stream"}, None):
        with client.websocket_connect(LIVE, headers=OWN) as socket:
            if first is not None:
                socket.send_json(first)
            with pytest.raises(WebSocketDisconnect) as closed:
                socket.receive_json()
        assert closed.value.code == 1008
    with client.websocket_connect(LIVE, headers=OWN) as socket:
        socket.send_json({"type": "token", "token": TOKEN})
        assert socket.receive_json() == {"type": "stream", "frames": 1, "live": True}


# The socket


def test_records_are_pushed_as_they_are_written(growing, serve, tmp_path):
    client = serve(tmp_path / "s")
    growing.grow(3)
    client.service.tail.look()
    with client.websocket_connect(LIVE, headers=OWN) as socket:
        late = player(client).catch_up()
        assert late.frame == 0, "the first segment is still open"
        assert socket.receive_json() == {"type": "stream", "frames": 4, "live": True}
        for _ in range(3):
            assert late.take(receive(socket))
        assert late.frame == 3
        for _ in range(30):
            growing.grow()
            client.service.tail.look()
            assert late.take(receive(socket)), "no keyframe comes between: it has the residuals"
            assert late.state.checksum() == growing.checksum
        growing.writer.cut(first_state(30, 1, 8))
        growing.grow()
        client.service.tail.look()
        assert late.take(receive(socket)) and late.take(receive(socket))
        assert late.state.checksum() == growing.checksum and len(late.state) < 36
        growing.writer.close()
        client.service.tail.look()
        assert socket.receive_json() == {"type": "end", "frames": 36}
        with pytest.raises(WebSocketDisconnect) as closed:
            receive(socket)
        assert closed.value.code == 1000
    assert client.service.feed.clients == 0
    with client.websocket_connect(LIVE, headers=OWN) as socket:
        assert socket.receive_json() == {"type": "stream", "frames": 36, "live": False}
        assert socket.receive_json() == {"type": "end", "frames": 36}


def test_a_late_joiner_catches_up_over_http(growing, serve, tmp_path):
    client = serve(tmp_path / "s")
    growing.grow(24)
    client.service.tail.look()
    with client.websocket_connect(LIVE, headers=OWN) as socket:
        joiner = player(client)
        # Messages are there before the files are asked for, and the stream goes on meanwhile.
        growing.grow(4)
        client.service.tail.look()
        joiner.catch_up()
        assert receive(socket)
        while joiner.frame < 28:
            assert joiner.take(receive(socket))
        assert joiner.state.checksum() == growing.checksum


def test_a_stream_that_ends_may_go_on(growing, serve, tmp_path):
    client = serve(tmp_path / "s")
    growing.grow(2)
    growing.writer.close()
    client.service.tail.look()
    assert client.get("/api/session").json()["stream"]["socket"] is None
    growing.writer = StreamWriter.resume(tmp_path / "s", growing.writer.options)
    growing.grow(5)
    client.service.tail.look()
    assert client.get("/api/session").json()["stream"]["socket"]
    with client.websocket_connect(LIVE, headers=OWN) as socket:
        assert socket.receive_json() == {"type": "stream", "frames": 8, "live": True}


def test_another_stream_in_the_folder_sends_players_away(growing, serve, tmp_path):
    client = serve(tmp_path / "s")
    with client.websocket_connect(LIVE, headers=OWN) as socket:
        socket.receive_json()
        shutil.rmtree(tmp_path / "s")
        Growing(tmp_path / "s", title="another")
        write_stream(tmp_path / "t", 20, 3)
        shutil.rmtree(tmp_path / "s")
        shutil.move(tmp_path / "t", tmp_path / "s")
        client.service.tail.look()
        with pytest.raises(WebSocketDisconnect) as closed:
            receive(socket)
        assert closed.value.code == 1012
    client.service.tail.look()
    with client.websocket_connect(LIVE, headers=OWN) as socket:
        assert socket.receive_json() == {"type": "stream", "frames": 3, "live": False}


def test_a_manifest_that_cannot_be_read_for_a_moment_changes_nothing(growing, serve, tmp_path):
    client = serve(tmp_path / "s")
    content = (tmp_path / "s" / "manifest.json").read_bytes()
    (tmp_path / "s" / "manifest.json").write_bytes(content[:100])
    assert client.service.tail.look() is False
    growing.grow(5)
    assert client.service.tail.look() is True
    assert client.service.feed.frames == 6


def test_only_so_many_listen_and_nobody_speaks(growing, serve, tmp_path):
    client = serve(tmp_path / "s", feed_limits=FeedLimits(clients=2))
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(client.websocket_connect(LIVE, headers=OWN)).receive_json()
        third = stack.enter_context(client.websocket_connect(LIVE, headers=OWN))
        with pytest.raises(WebSocketDisconnect) as closed:
            third.receive_json()
        assert closed.value.code == 1013
    for message, code in (
        ("{", 1007),
        ('{"type": "stop"}', 1007),
        (b"RFRM", 1003),
        ('"' + "x" * 70_000 + '"', 1009),
    ):
        with client.websocket_connect(LIVE, headers=OWN) as socket:
            socket.receive_json()
            socket.send_bytes(message) if isinstance(message, bytes) else socket.send_text(message)
            with pytest.raises(WebSocketDisconnect) as closed:
                receive(socket)
        assert closed.value.code == code
    assert client.service.feed.clients == 0


# Slow clients


def record(kind: str, frame: int, size: int = 10) -> FollowedRecord:
    return FollowedRecord(kind, frame, frame.to_bytes(4, "little").ljust(size))


def drained(feed: StreamFeed, client: StreamClient) -> list:
    """Return frames, and the types of what is not one."""
    messages = iter(lambda: feed.take(client), None)
    return [int.from_bytes(m[:4], "little") if isinstance(m, bytes) else m["type"] for m in messages]


def test_a_slow_client_is_sent_on_to_the_next_keyframe():
    feed = StreamFeed(FeedLimits(frames=5))
    quick, slow = StreamClient(lambda: None), StreamClient(lambda: None)
    assert feed.connect(quick) and feed.connect(slow)
    got = []
    for frame in range(1, 40):
        feed.publish(record("residual", frame))
        if frame % 10 == 0:
            feed.publish(record("keyframe", frame))
        if frame % 5 == 0:
            feed.filed(frame + 1)
        got += drained(feed, quick)
        if frame == 22:
            assert drained(feed, slow) == ["stream", "skip", 20, 21, 22]
    assert got == ["stream", *range(1, 40)]
    assert drained(feed, slow) == ["skip"] and slow.waits_for_keyframe
    feed.publish(record("residual", 40))
    assert drained(feed, slow) == []
    feed.publish(record("keyframe", 40))
    feed.publish(record("residual", 41))
    assert drained(feed, slow) == [40, 41]
    feed.publish(record("cut", 42))
    assert drained(feed, slow) == drained(feed, quick)[-1:] == [42]


def test_a_cut_wakes_whoever_was_too_slow():
    feed = StreamFeed(FeedLimits(frames=3))
    slow = StreamClient(lambda: None)
    feed.connect(slow)
    for frame in range(1, 3):
        feed.publish(record("residual", frame))
    feed.publish(record("cut", 3))
    assert drained(feed, slow) == ["stream", "skip", 3] and not slow.waits_for_keyframe


def test_bytes_that_wait_are_bounded():
    feed = StreamFeed(FeedLimits(frames=1000, bytes=1000))
    slow = StreamClient(lambda: None)
    feed.connect(slow)
    for frame in range(1, 200):
        feed.publish(record("residual", frame, 90))
        if frame % 7 == 0:
            feed.publish(record("keyframe", frame, 500))
        assert slow.bytes == sum(len(m) for m in slow.messages if isinstance(m, bytes)) <= 1000
    late = StreamClient(lambda: None)
    feed.connect(late)
    assert late.bytes <= 1000
    while feed.take(slow) is not None:
        pass
    assert slow.bytes == 0
    feed.publish(record("cut", 200, 5000))
    assert drained(feed, slow) == [200], "one that is larger than all that may wait still comes through"


def test_a_client_that_takes_nothing_is_dropped_and_holds_little():
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
        socket, feed = Stalled(), StreamFeed(FeedLimits(frames=4))
        serving = asyncio.create_task(StreamSocket(feed, Access(), Patience(send=0.3)).answer(socket))
        while not feed.clients:
            await asyncio.sleep(0)
        for number in range(1, 50):
            feed.publish(record("residual", number))
            for _ in range(3):
                await asyncio.sleep(0)
        await asyncio.wait_for(serving, 60)
        assert feed.clients == 0
        return socket

    assert asyncio.run(watch()).given == 1


def test_a_slow_player_ends_with_the_same_state(growing, serve, tmp_path):
    """It takes what is queued only now and then, skips, and plays on from keyframes and files to the same bits."""
    client = serve(tmp_path / "s", feed_limits=FeedLimits(frames=4))
    feed, waiting = client.service.feed, StreamClient(lambda: None)
    feed.connect(waiting)
    slow = player(client)
    for number in range(60):
        growing.grow()
        client.service.tail.look()
        if number % 13 == 12:
            while (message := feed.take(waiting)) is not None:
                if not slow.take(json.dumps(message) if isinstance(message, dict) else message):
                    slow.catch_up()
                    assert slow.take(message)
    assert slow.skips >= 3
    growing.writer.close()
    client.service.tail.look()
    while (message := feed.take(waiting)) is not None:
        slow.take(json.dumps(message) if isinstance(message, dict) else message)
    assert slow.ended and slow.catch_up().state.checksum() == growing.checksum


@contextmanager
def raises_sentence(words: str):
    with pytest.raises(ReconError, match=words) as raised:
        yield
    assert "\n" not in str(raised.value)


def test_what_is_no_stream_is_told(tmp_path, page_folder):
    from recon.server.serve import ServeOptions, choose_serve_access, serve

    (tmp_path / "empty").mkdir()
    with raises_sentence("holds no stream"):
        serve(tmp_path / "empty", ServeOptions(page=page_folder))
    with raises_sentence("--ingest-token is for --ingest"):
        choose_serve_access(ServeOptions(ingest_token=TOKEN))
    with raises_sentence("apart"):
        choose_serve_access(ServeOptions(ingest=True, token=TOKEN, ingest_token=TOKEN))
    with raises_sentence("at least 16"):
        choose_serve_access(ServeOptions(ingest=True, ingest_token="short"))
    access = choose_serve_access(ServeOptions(ingest=True))
    assert len(access.ingest_token) >= 32 and access.token is None
