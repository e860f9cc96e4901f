"""What must be refused: wandering paths, foreign pages, wrong names, missing tokens, and too much of anything."""

import os
import shutil
from contextlib import ExitStack

import pytest
from starlette.testclient import WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

from recon.errors import ReconError
from recon.server.access import Access, choose_access, is_loopback
from recon.server.app import MAX_BODY
from recon.server.live_feed import LiveFeed
from recon.server.session import Stage, live_session, open_session
from recon.server.sockets import MAX_MESSAGE, Patience

ADDRESS = "http://127.0.0.1:8000"
LIVE = "ws://127.0.0.1:8000/api/live"
OWN = {"origin": ADDRESS}
TOKEN = "correct-horse-battery"
JSON = {**OWN, "content-type": "application/json"}


@pytest.fixture
def live(make_client):
    """A function that serves a live feed."""

    def serve(**options):
        return make_client(Stage(live_session(None)), feed=options.pop("feed", LiveFeed()), **options)

    return serve


# Paths


@pytest.mark.parametrize(
    "path",
    [
        "/api/files/../config.yaml",
        "/api/files/..%2fconfig.yaml",
        "/api/files/%2e%2e%2fconfig.yaml",
        "/api/files/%252e%252e%252fconfig.yaml",
        "/api/files/..%5c..%5cconfig.yaml",
        "/api/files//etc/passwd",
        "/api/files/%2fetc%2fpasswd",
        "/api/files/C:%5cwindows%5cwin.ini",
        "/api/files/splat%00.png",
        "/api/files/splat.ply",
        "/api/files/SPLAT",
        "/api/files/splat/../../config.yaml",
        "/api/files/config.yaml",
        "/api/files/" + 41 * "a",
        "/api/files/%ef%bd%93plat",
        "/api/files/",
        "/../run/config.yaml",
        "/assets/../../secret",
        "/assets/%2e%2e/index.html",
        "/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "//etc/passwd",
    ],
)
def test_no_path_leads_out_of_the_table(run, make_client, path):
    answer = make_client(run.path).get(path)
    assert answer.status_code == 404 and answer.json()["error"]


def test_a_link_inside_of_a_run_is_not_followed(run, tmp_path):
    """Neither a linked file nor a linked folder is listed, wherever it points to."""
    secret = tmp_path / "secret.ply"
    secret.write_bytes(b"not yours")
    run.stereo_points_file.unlink()
    run.stereo_points_file.symlink_to(secret)
    moved = tmp_path / "moved"
    shutil.move(run.path / "truth", moved)
    (run.path / "truth").symlink_to(moved)
    told = open_session(run.path).description
    assert told["layers"]["points"] is None
    assert {camera["photo"] for camera in told["cameras"]} == {None}


def test_a_run_that_lies_behind_a_link_is_served(run, tmp_path, make_client):
    """The person at the keyboard named the link; what lies inside of the folder is still the folder's own."""
    (tmp_path / "runs").symlink_to(run.path.parent)
    client = make_client(tmp_path / "runs" / "run")
    assert client.get("/api/files/splat").content == run.splat_file.read_bytes()
    assert client.get("/api/files/points").status_code == 200


def test_a_linked_splat_is_refused(run, tmp_path):
    shutil.move(run.splat_file, tmp_path / "elsewhere.ply")
    run.splat_file.symlink_to(tmp_path / "elsewhere.ply")
    with pytest.raises(ReconError, match="ordinary file"):
        open_session(run.path)


def test_a_link_that_appears_later_is_not_followed(run, tmp_path, make_client):
    client = make_client(run.path)
    (tmp_path / "secret").write_bytes(b"not yours")
    run.stereo_points_file.unlink()
    run.stereo_points_file.symlink_to(tmp_path / "secret")
    assert client.get("/api/files/points").status_code == 404
    run.stereo_points_file.unlink()
    os.mkfifo(run.stereo_points_file)
    assert client.get("/api/files/points").status_code == 404


# Foreign pages


FOREIGN = ["http://evil.example", "http://127.0.0.1:9999", "http://127.0.0.1:8000.evil.example", "null", ""]


@pytest.mark.parametrize("origin", [*FOREIGN, None])
def test_a_foreign_page_can_neither_post_nor_listen(run, live, make_client, origin):
    headers = {} if origin is None else {"origin": origin}
    answer = make_client(run.path).post("/api/picture", json={}, headers=headers)
    assert answer.status_code == 403 and "own page" in answer.json()["error"]
    with pytest.raises((WebSocketDisconnect, WebSocketDenialResponse)):
        live().websocket_connect(LIVE, headers=headers).__enter__()


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "", "[::1", "10.0.0.7"]
)
def test_another_name_for_this_machine_is_refused(run, live, make_client, host):
    """DNS rebinding: a foreign name that resolves to 127.0.0.1 makes a foreign page look like ours."""
    client = make_client(run.path)
    for path in ("/", "/api/session", "/api/files/splat"):
        assert client.get(path, headers={"host": host}).status_code == 403
    headers = {"host": host, "origin": f"http://{host}"}
    assert client.post("/api/picture", json={}, headers=headers).status_code == 403
    with pytest.raises((WebSocketDisconnect, WebSocketDenialResponse)):
        live().websocket_connect(LIVE, headers=headers).__enter__()


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1:1234", "[::1]:8000", "127.0.0.1"])
def test_our_own_names_are_served(run, make_client, host):
    client = make_client(run.path)
    assert client.get("/api/session", headers={"host": host}).status_code == 200


def test_no_foreign_page_may_read_or_frame_anything(run, make_client):
    client = make_client(run.path)
    for path in ("/", "/api/session", "/api/files/splat", "/nothing"):
        headers = client.get(path, headers={"origin": "http://evil.example"}).headers
        assert not any(name.startswith("access-control-") for name in headers), path
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'self'" in policy
        assert "unsafe" not in policy and "*" not in policy
    preflight = client.options("/api/picture", headers={"origin": "http://evil.example"})
    assert not any(name.startswith("access-control-") for name in preflight.headers)


# Too much


def test_a_large_body_is_refused_before_it_is_read(run, make_client):
    client = make_client(run.path)
    answer = client.post("/api/picture", content=b" " * (MAX_BODY + 1), headers=JSON)
    assert answer.status_code == 413
    endless = (b" " * 1024 for _ in range(1000))  # without a length
    assert client.post("/api/picture", content=endless, headers=JSON).status_code == 413
    form = {**OWN, "content-type": "multipart/form-data; boundary=x"}
    assert client.post("/api/picture", content=b"--x--", headers=form).status_code == 415


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ('"' + "x" * MAX_MESSAGE + '"', 1009),
        (b"\x00" * (MAX_MESSAGE + 1), 1009),
        (b"{}", 1003),
        ("{", 1007),
        ("[1]", 1007),
        ("[" * 50_000, 1007),
        ('{"type": "shutdown"}', 1007),
        ('{"type": "ack", "frame": "1"}', 1007),
        ('{"type": ["ack"]}', 1007),
    ],
)
def test_a_message_that_is_too_large_or_not_understood_ends_the_connection(live, message, code):
    feed = LiveFeed()
    with live(feed=feed).websocket_connect(LIVE, headers=OWN) as socket:
        assert socket.receive_json()["type"] == "history"
        assert socket.receive_json()["type"] == "progress"
        socket.send_bytes(message) if isinstance(message, bytes) else socket.send_text(message)
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_json()
    assert closed.value.code == code and feed.clients == 0


def test_only_so_many_can_watch(live):
    feed = LiveFeed()
    client = live(feed=feed)
    with ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(client.websocket_connect(LIVE, headers=OWN)).receive_json()
        ninth = stack.enter_context(client.websocket_connect(LIVE, headers=OWN))
        with pytest.raises(WebSocketDisconnect) as closed:
            ninth.receive_json()
    assert closed.value.code == 1013 and feed.clients == 0


# Tokens


def test_no_token_no_answer(run, make_client):
    client = make_client(run.path, Access(loopback=False, token=TOKEN))
    assert client.get("/").status_code == 200, "the page itself holds no secret; it asks for the token"
    for headers in (
        {},
        {"authorization": "Bearer wrong"},
        {"authorization": TOKEN},
        {"authorization": "Bearer"},
    ):
        for path in ("/api/session", "/api/files/splat", "/api/nothing"):
            answer = client.get(path, headers=headers)
            assert answer.status_code == 401 and "token" in answer.json()["error"]
        assert client.post("/api/picture", json={}, headers={**OWN, **headers}).status_code == 401
    assert client.get(f"/api/session?token={TOKEN}").status_code == 401, "addresses end up in logs"
    right = {"authorization": f"Bearer {TOKEN}"}
    assert client.get("/api/session", headers=right).status_code == 200
    assert client.get("/api/files/splat", headers={**right, "host": "viewer.example"}).status_code == 200


def test_no_token_no_feed(live):
    access, feed = Access(loopback=False, token=TOKEN), LiveFeed()
    for first in ({"type": "token", "token": "wrong"}, {"type": "stop"}, {"type": "token"}, {"token": TOKEN}):
        client = live(access=access, feed=feed)
        with client.websocket_connect(LIVE, headers=OWN) as socket:
            socket.send_json(first)
            with pytest.raises(WebSocketDisconnect) as closed:
                socket.receive_json()
        assert closed.value.code == 1008
    assert not feed.stop_requested
    with live(access=access, feed=feed).websocket_connect(LIVE, headers=OWN) as socket:
        socket.send_json({"type": "token", "token": TOKEN})
        assert socket.receive_json()["type"] == "history"


def test_whoever_keeps_silent_about_the_token_is_sent_away(live):
    client = live(access=Access(loopback=False, token=TOKEN), patience=Patience(token=0.05))
    with client.websocket_connect(LIVE, headers=OWN) as socket:
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_json()
        assert closed.value.code == 1008


def test_a_public_server_without_a_token_cannot_be_made():
    with pytest.raises(ReconError, match="needs a token"):
        Access(loopback=False)
    for host in ("0.0.0.0", "::", "192.168.1.7", "viewer.example", "127.0.0.1.evil.example"):
        access = choose_access(host, None)
        assert not access.loopback and access.token is not None and len(access.token) >= 32, host
    assert choose_access("0.0.0.0", None).token != choose_access("0.0.0.0", None).token
    assert choose_access("127.0.0.1", None) == Access(loopback=True, token=None)


def test_a_weak_token_is_refused():
    with pytest.raises(ReconError, match="at least 16"):
        choose_access("0.0.0.0", "1234")
    with pytest.raises(ReconError, match="without spaces"):
        choose_access("0.0.0.0", "correct horse battery staple")
    assert choose_access("127.0.0.1", TOKEN).token == TOKEN


def test_which_names_are_this_machine():
    assert all(map(is_loopback, ("127.0.0.1", "127.8.9.1", "::1", "[::1]", "localhost", "LOCALHOST")))
    assert not any(
        map(is_loopback, ("0.0.0.0", "::", "", "localhost.evil.example", "128.0.0.1", "0x7f000001"))
    )
