"""Frames that come in: who may send them, in which order, how much, and what is left after any failure."""

import json
import shutil
import threading
import time
from collections import namedtuple
from contextlib import ExitStack
from dataclasses import replace

import numpy as np
import pytest
from starlette.testclient import TestClient

from recon.cli.main import main
from recon.errors import ReconError
from recon.server import stream_ingest
from recon.server.access import Access
from recon.server.app import create_app
from recon.server.page_files import load_page
from recon.server.running import running
from recon.server.session import Stage
from recon.server.stream_ingest import IngestLimits
from recon.server.stream_service import StreamService
from recon.server.stream_session import stream_cameras, stream_session
from recon.streaming import StreamOptions, StreamReader, StreamWriter, parse_record, stream_info
from recon.streaming.follow import StreamFollower
from recon.streaming.manifest import MANIFEST, read_manifest
from recon.streaming.push import PushPatience, push_stream
from recon.streaming.record import Record
from tests.streaming.made_up_streams import first_state, random_residual, write_stream

ADDRESS = "http://127.0.0.1:8000"
TOKEN = "battery-staple-of-a-producer"
BEARER = {"authorization": f"Bearer {TOKEN}"}
FRAME = {**BEARER, "recon-producer": "producer-1", "content-type": "application/octet-stream"}
CAMERA = {
    "name": "left",
    "role": "test",
    "width": 640,
    "height": 360,
    "intrinsics": [500.0, 500.0, 320.0, 180.0],
    "world_to_camera": np.eye(4).ravel().tolist(),
    "secret": "no",
}
SOON = PushPatience(timeout=20, first_wait=0.02, longest_wait=0.1, give_up=20, look=0.01)


@pytest.fixture
def serve(page_folder, tmp_path):
    """A function that takes frames into tmp_path/taken, from clients in process."""
    with ExitStack() as stack:

        def start(limits: IngestLimits | None = None, access: Access | None = None, **options):
            folder = tmp_path / "taken"
            folder.mkdir(exist_ok=True)
            stage = Stage(stream_session(folder))
            options = {"ingest": True, **options}
            service = StreamService(folder, stage, ingest_limits=limits, **options)
            service.tail.look()
            app = create_app(
                stage, access or Access(ingest_token=TOKEN), load_page(page_folder), stream=service
            )
            client = stack.enter_context(TestClient(app, base_url=ADDRESS))
            client.service = service
            return client

        yield start


@pytest.fixture
def records(tmp_path):
    """Records of a stream of 12 frames, the keyframe first."""
    write_stream(tmp_path / "source", 40, 12, fps=10, keyframe_seconds=0.5)
    return list(StreamFollower(tmp_path / "source").poll())


def send(client, content: bytes, **headers):
    return client.post("/api/ingest/record", content=content, headers={**FRAME, **headers})


def taken(tmp_path):
    return StreamReader(tmp_path / "taken")


# Who may send


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer wrong"},
        {"authorization": TOKEN},
        {"authorization": "Bearer"},
        {"authorization": f"Basic {TOKEN}"},
        {"authorization": f"Bearer {TOKEN}x"},
        {"authorization": "Bearer correct-horse-battery"},
    ],
)
def test_no_token_no_frames(serve, records, tmp_path, headers):
    """The viewers' token is not the producers'."""
    client = serve(access=Access(False, "correct-horse-battery", TOKEN))
    named = {name: value for name, value in FRAME.items() if name != "authorization"}
    for path in ("begin", "record", "end"):
        answer = client.post(f"/api/ingest/{path}", content=records[0].content, headers={**named, **headers})
        assert answer.status_code == 401 and "token" in answer.json()["error"]
        address = f"/api/ingest/{path}?token={TOKEN}"
        assert client.post(address, content=records[0].content, headers=named).status_code == 401
    assert not (tmp_path / "taken" / MANIFEST).exists()
    assert client.get("/api/session", headers=BEARER).status_code == 401, "nor the other way round"


def test_pages_send_no_frames(serve, records):
    client = serve()
    for origin in (ADDRESS, "http://evil.example", "null"):
        assert send(client, records[0].content, origin=origin).status_code == 403
    assert send(client, records[0].content, host="evil.example").status_code == 403
    assert client.options("/api/ingest/record", headers={"origin": "http://evil.example"}).status_code == 403
    assert client.get("/api/ingest/record", headers=FRAME).status_code in (404, 405)


def test_without_ingest_no_frames_are_taken(serve, records):
    client = serve(access=Access(), ingest=False)
    answer = send(client, records[0].content)
    assert answer.status_code == 404 and "--ingest" in answer.json()["error"]


def test_one_producer_at_a_time(serve, records):
    client = serve(IngestLimits(lease_seconds=0.5))
    assert send(client, records[0].content).status_code == 200
    other = {"recon-producer": "producer-2"}
    answer = send(client, records[1].content, **other)
    assert answer.status_code == 423 and answer.headers["retry-after"] == "1"
    assert send(client, records[1].content).json() == {"expected": 2}
    time.sleep(0.6)
    assert send(client, records[2].content, **other).json() == {"expected": 3}
    assert send(client, records[3].content).status_code == 423
    for name in ("", "short", "x" * 65, "with space", "a/../../b"):
        assert send(client, records[3].content, **{"recon-producer": name}).status_code == 400


# In which order


def test_frames_come_in_sequence(serve, records, tmp_path):
    client = serve()
    assert client.get("/api/stream/manifest.json").status_code == 404
    told = {"fps": 25, "title": "a dance", "licence": "CC BY 4.0", "up": [0, 0, 1], "cameras": [CAMERA]}
    answer = client.post("/api/ingest/begin", content=json.dumps(told), headers=FRAME)
    assert answer.json() == {"expected": 0}
    early = send(client, records[1].content)
    assert (early.status_code, early.json()["expected"]) == (409, 0)
    for number, one in enumerate(records):
        answer = send(client, one.content)
        assert answer.status_code == 200 and answer.json() == {"expected": one.frame + 1}
        if number > 1:
            old = send(client, records[1].content)
            assert (old.status_code, old.json()["expected"]) == (409, one.frame + 1)
        if number + 3 < len(records):
            far = send(client, records[number + 3].content)
            assert (far.status_code, far.json()["expected"]) == (409, one.frame + 1)
        assert read_manifest(tmp_path / "taken").frames <= one.frame + 1, "a valid stream at any time"
    manifest = read_manifest(tmp_path / "taken")
    assert (manifest.live, manifest.fps, manifest.title, manifest.up) == (True, 25.0, "a dance", [0, 0, 1])
    assert manifest.cameras == stream_cameras([CAMERA]) and "secret" not in manifest.cameras[0]
    assert client.post("/api/ingest/end", headers=FRAME).json() == {"frames": 12}
    assert client.post("/api/ingest/end", headers=FRAME).json() == {"frames": 12}
    assert not read_manifest(tmp_path / "taken").live
    last = StreamReader(tmp_path / "source").state_at(11).checksum()
    assert taken(tmp_path).state_at(11).checksum() == last
    keys = [[file.name for file in read_manifest(tmp_path / s).keyframes] for s in ("source", "taken")]
    assert keys[0] == keys[1] and stream_info(tmp_path / "taken").verified == 15


def test_an_end_without_a_beginning_is_none(serve):
    answer = serve().post("/api/ingest/end", headers=FRAME)
    assert answer.status_code == 409 and "not one frame" in answer.json()["error"]


def test_a_damaged_frame_changes_nothing(serve, records, tmp_path):
    client = serve()
    assert send(client, records[0].content).status_code == 200
    good = records[1].content
    lying = replace(parse_record(good, "r")[0], checksum=(1, 2)).to_bytes()
    rng = np.random.default_rng(0)
    mutations = [lying, b"", b"RFRM", good[:-1], good + good, records[0].content + b"\0"]
    for _ in range(60):
        content = bytearray(good)
        content[rng.integers(len(content))] ^= 1 << rng.integers(8)
        mutations.append(bytes(content))
    for content in mutations:
        assert send(client, content).status_code in (400, 409)
    assert send(client, good).json() == {"expected": 2}
    for one in records[2:]:
        assert send(client, one.content).status_code == 200
    client.post("/api/ingest/end", headers=FRAME)
    assert stream_info(tmp_path / "taken").manifest.frames == 12


def test_frames_of_another_stream_are_refused(serve, records, tmp_path):
    write_stream(tmp_path / "other", 40, 4, seed=9)
    client = serve()
    assert send(client, records[0].content).status_code == 200
    for one in list(StreamFollower(tmp_path / "other").poll())[1:2]:
        answer = send(client, one.content)
        assert answer.status_code == 400 and answer.json()["error"]
    assert send(client, records[1].content).json() == {"expected": 2}


def test_the_server_may_be_started_again(serve, records, tmp_path):
    half = len(records) // 2
    first = serve()
    for one in records[:half]:
        assert send(first, one.content).status_code == 200
    second = serve()
    answer = second.post("/api/ingest/begin", content=b"{}", headers={**FRAME, "recon-producer": "again-12"})
    assert answer.json() == {"expected": records[half - 1].frame + 1}
    for one in records[half:]:
        assert send(second, one.content, **{"recon-producer": "again-12"}).status_code == 200
    second.post("/api/ingest/end", headers={**FRAME, "recon-producer": "again-12"})
    assert stream_info(tmp_path / "taken").manifest.frames == 12


# How much


def test_a_record_that_is_too_large_is_refused_before_it_is_read(serve, records):
    client = serve(IngestLimits(record=5000))
    assert send(client, b"x" * 5001).status_code == 413
    endless = (b" " * 1024 for _ in range(1000))  # without a length
    assert client.post("/api/ingest/record", content=endless, headers=FRAME).status_code == 413
    assert send(client, b"", **{"content-length": "99999999999999"}).status_code == 413
    assert client.post("/api/ingest/begin", content=b" " * (2 << 20), headers=FRAME).status_code == 413
    assert send(client, records[0].content, **{"content-type": "text/plain"}).status_code == 415


def test_a_bomb_is_refused_before_it_goes_off(serve, tmp_path):
    record = Record(1, 0, 0, 0, 1 << 23)
    record.add(900, bytes(20 << 20), flags=1)
    record.add(16, bytes(30 << 20))
    content = record.to_bytes()
    assert len(content) < 1 << 20
    answer = send(serve(IngestLimits(unpacked=1 << 20)), content)
    assert answer.status_code in (400, 413) and not (tmp_path / "taken" / MANIFEST).exists()


def test_frames_may_not_come_too_fast(serve, records):
    client = serve(IngestLimits(records_per_second=1.0))
    statuses = [send(client, one.content).status_code for one in records[:8]]
    assert statuses[:4] == [200] * 4 and 429 in statuses[4:]
    answer = send(client, records[statuses.index(429)].content)
    assert answer.status_code == 200 or 1 <= int(answer.headers["retry-after"]) <= 4
    client = serve(IngestLimits(bytes_per_second=100.0, lease_seconds=0))
    assert {send(client, records[1].content).status_code for _ in range(3)} >= {429}


def test_the_disk_is_never_filled(serve, records, monkeypatch):
    client = serve()
    Usage = namedtuple("Usage", "total used free")
    monkeypatch.setattr(stream_ingest.shutil, "disk_usage", lambda path: Usage(1 << 40, 1 << 40, 1 << 20))
    answer = send(client, records[0].content)
    assert answer.status_code == 507 and "disk" in answer.json()["error"]
    monkeypatch.undo()
    assert send(client, records[0].content).status_code == 200


def test_half_a_record_in_the_journal_is_put_right(serve, records, tmp_path, monkeypatch):
    """The disk fails in the middle of a frame; the frame is asked for again, and nothing before it is lost."""
    client = serve()
    for one in records[:3]:
        send(client, one.content)

    def failing(self, content, due):
        with open(self.folder / "open.records", "ab") as journal:
            journal.write(content[: len(content) // 2])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(StreamWriter, "_append_residual", failing)
        assert send(client, records[3].content).status_code == 507
    for one in records[3:]:
        assert send(client, one.content).status_code == 200
    client.post("/api/ingest/end", headers=FRAME)
    assert stream_info(tmp_path / "taken").manifest.frames == 12


@pytest.mark.parametrize(
    "told",
    [
        b"{",
        b"[]",
        b"[" * 50_000,
        b'{"fps": 0}',
        b'{"fps": NaN}',
        b'{"fps": true}',
        b'{"up": [0, 1]}',
        b'{"up": [0, 1, 1e999]}',
        b'{"title": 7}',
        b'{"licence": "' + b"x" * 20_000 + b'"}',
        b'{"cameras": {}}',
        b'{"cameras": [{}]}',
        b'{"cameras": [' + b"{}," * 2000 + b"{}]}",
    ],
)
def test_what_a_producer_says_of_its_stream_is_checked(serve, told):
    answer = serve().post("/api/ingest/begin", content=told, headers=FRAME)
    assert answer.status_code == 400 and answer.json()["error"]


# The producer


class Served:
    """A real server that takes frames and can be ended and started again at the same port."""

    def __init__(self, folder, page_folder, **options) -> None:
        self.folder, self.page, self.options, self.port = folder, load_page(page_folder), options, 0
        folder.mkdir(exist_ok=True)
        self.stack = ExitStack()

    def __enter__(self) -> "Served":
        access, stage = Access(ingest_token=TOKEN), Stage(stream_session(self.folder))
        service = StreamService(self.folder, stage, ingest=True, **self.options)
        app = create_app(stage, access, self.page, stream=service)
        self.stack.enter_context(service.following())
        self.address = self.stack.enter_context(running(app, "127.0.0.1", self.port, access))
        self.port = int(self.address.rsplit(":", 1)[1].rstrip("/"))
        return self

    def __exit__(self, *_) -> None:
        self.stack.close()


def test_a_stream_is_pushed_as_it_grows_through_a_restart(tmp_path, page_folder):
    """The producer follows a growing folder; the server goes away in the middle and comes back."""
    options = StreamOptions(fps=10, segment_seconds=0.5, keyframe_seconds=1.0, title="grown")
    writer = StreamWriter.create(tmp_path / "source", first_state(40, 1), options)
    rng, told, pushed = np.random.default_rng(0), [], []
    server = Served(tmp_path / "taken", page_folder)
    with server:
        producer = threading.Thread(
            target=lambda: pushed.append(
                push_stream(
                    tmp_path / "source",
                    server.address,
                    TOKEN,
                    follow=True,
                    patience=SOON,
                    progress=told.append,
                )
            )
        )
        producer.start()
        for _ in range(17):
            writer.append(random_residual(writer.state, rng))
        _until(lambda: _frames(tmp_path / "taken") >= 11)
    assert producer.is_alive()
    for _ in range(8):
        writer.append(random_residual(writer.state, rng))
    _until(lambda: told)
    with server:
        for _ in range(8):
            writer.append(random_residual(writer.state, rng))
        writer.close()
        producer.join(60)
    assert not producer.is_alive() and pushed[0].frames == 34 and any("again" in line for line in told)
    info = stream_info(tmp_path / "taken")
    assert not info.manifest.live and info.manifest.title == "grown" and info.manifest.frames == 34
    assert taken(tmp_path).state_at(33).checksum() == writer.state.checksum()


def test_what_is_there_is_pushed_once(tmp_path, page_folder, capsys, monkeypatch):
    writer = write_stream(tmp_path / "source", 40, 20, fps=10, keyframe_seconds=1.0)
    with Served(tmp_path / "taken", page_folder) as server:
        monkeypatch.setenv("RECON_TOKEN", TOKEN)
        main(["stream", "push", str(tmp_path / "source"), server.address])
        assert "21 records" in capsys.readouterr().out
        main(["stream", "push", str(tmp_path / "source"), server.address])
        assert "0 records" in capsys.readouterr().out
    assert taken(tmp_path).state_at(19).checksum() == writer.state.checksum()


def test_a_connection_that_was_idle_is_opened_again(tmp_path, page_folder, monkeypatch):
    """The server ends idle connections; that is neither trouble nor a frame twice."""
    from recon.streaming import push

    write_stream(tmp_path / "source", 40, 5, fps=10)
    exchange, told = push._Server._exchange, []

    def broken(self, what, body, media_type):
        if self._connection is not None and self._connection.sock is not None:
            self._connection.sock.shutdown(2)
        return exchange(self, what, body, media_type)

    monkeypatch.setattr(push._Server, "_exchange", broken)
    with Served(tmp_path / "taken", page_folder) as server:
        pushed = push_stream(tmp_path / "source", server.address, TOKEN, patience=SOON, progress=told.append)
    assert (pushed.frames, told) == (5, []) and taken(tmp_path).state_at(4)


def test_an_answer_that_was_lost_is_no_frame_twice(tmp_path, page_folder, monkeypatch):
    from recon.streaming import push

    write_stream(tmp_path / "source", 40, 9, fps=10)
    exchange, calls = push._Server._exchange, []

    def lossy(self, what, body, media_type):
        answer = exchange(self, what, body, media_type)
        calls.append(what)
        if len(calls) % 5 == 4:
            self.close()
            raise ConnectionResetError("lost on the way back")
        return answer

    monkeypatch.setattr(push._Server, "_exchange", lossy)
    with Served(tmp_path / "taken", page_folder) as server:
        assert push_stream(tmp_path / "source", server.address, TOKEN, patience=SOON).frames == 9
    assert stream_info(tmp_path / "taken").manifest.frames == 9


def test_what_cannot_be_pushed_is_told(tmp_path, page_folder):
    write_stream(tmp_path / "source", 40, 5, fps=10)
    write_stream(tmp_path / "other", 40, 7, fps=10, seed=3)

    def push(address: str, token: str = TOKEN, source: str = "source"):
        return push_stream(tmp_path / source, address, token, patience=replace(SOON, give_up=0.2))

    for address in ("ftp://x/", "127.0.0.1:8000", "http://", "http://x:99999/"):
        with pytest.raises(ReconError, match="no address of a server"):
            push(address)
    for address in (f"http://x/#token={TOKEN}", f"http://x/?token={TOKEN}", f"http://u:{TOKEN}@x/"):
        with pytest.raises(ReconError, match="leave tokens") as raised:
            push(address)
        assert TOKEN not in str(raised.value)
    with pytest.raises(ReconError, match="RECON_TOKEN"):
        push("http://127.0.0.1:1/", "")
    with pytest.raises(ReconError, match="given up"):
        push("http://127.0.0.1:1/")
    with pytest.raises(ReconError, match="holds no stream"):
        push("http://127.0.0.1:1/", source="nothing")
    limits = IngestLimits(lease_seconds=0)
    with Served(tmp_path / "taken", page_folder, ingest_limits=limits) as server:
        with pytest.raises(ReconError, match="whoever knows the token"):
            push(server.address, TOKEN + "x")
        push(server.address)
        with pytest.raises(ReconError, match="refuses the stream"):
            push(server.address, source="other")
        shutil.rmtree(tmp_path / "source")
        write_stream(tmp_path / "source", 40, 3, fps=10)
        with pytest.raises(ReconError, match="another stream"):
            push(server.address)
    assert taken(tmp_path).state_at(4)


def test_a_record_beyond_the_servers_limit_ends_the_push(tmp_path, page_folder):
    """The server answers in the middle of the body; the answer is heard, and not tried against for ever."""
    write_stream(tmp_path / "source", 20_000, 2, fps=10)
    limits = IngestLimits(record=100_000)
    with (
        Served(tmp_path / "taken", page_folder, ingest_limits=limits) as server,
        pytest.raises(ReconError, match="at most 100000 bytes"),
    ):
        push_stream(tmp_path / "source", server.address, TOKEN, patience=SOON)


def _frames(folder) -> int:
    return read_manifest(folder).frames if (folder / MANIFEST).exists() else 0


def _until(condition, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)
