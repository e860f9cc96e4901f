"""The commands as a person runs them: an address, a page behind it, and a clean end."""

import os
import re
import signal
import socket
import subprocess
import time
import urllib.request

import httpx2 as httpx
import pytest

from recon.errors import ReconError
from recon.server.access import Access
from recon.server.app import create_app
from recon.server.page_files import load_page
from recon.server.running import running
from recon.server.session import Stage, open_session
from recon.server.view import ViewOptions, view
from tests.server.programs import start_program


def test_a_real_server_answers_at_the_address_it_names(run, page_folder):
    access = Access()
    app = create_app(Stage(open_session(run.path)), access, load_page(page_folder))
    with running(app, "127.0.0.1", 0, access) as address:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", address)
        with urllib.request.urlopen(f"{address}api/session", timeout=20) as answer:
            assert answer.headers["X-Content-Type-Options"] == "nosniff" and "server" not in answer.headers
        client = httpx.Client(timeout=20)
        assert client.get(f"{address}api/files/splat").content == run.splat_file.read_bytes()
        assert client.head(f"{address}api/files/splat").content == b""
        port = int(address.rsplit(":", 1)[1].rstrip("/"))
        # Paths as a browser would never send them.
        for path in (
            "/../../etc/passwd",
            "/api/files/../../config.yaml",
            "/api/files/%2e%2e/config.yaml",
            "//x",
        ):
            assert _raw_status(port, path) == 404, path
        client.close()
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=1).close()


def test_a_public_address_carries_its_token_in_the_fragment(run, page_folder):
    access = Access(loopback=False, token="correct-horse-battery")
    app = create_app(Stage(open_session(run.path)), access, load_page(page_folder))
    with running(app, "0.0.0.0", 0, access) as address:
        assert re.fullmatch(r"http://[^/#?]+:\d+/#token=correct-horse-battery", address)
        port = int(re.search(r":(\d+)/", address)[1])
        assert _raw_status(port, "/api/session") == 401
        assert _raw_status(port, "/") == 200


def test_a_taken_port_is_told_in_a_sentence(run, page_folder):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ReconError, match=f"cannot listen at 127.0.0.1:{port}"):
            view(run.path, ViewOptions(port=port, browser=False, page=page_folder))
    with pytest.raises(ReconError, match="ports go from"):
        view(run.path, ViewOptions(port=70000, browser=False, page=page_folder))


@pytest.mark.skipif(os.name != "posix", reason="sends a signal as Ctrl-C does")
def test_the_program_prints_its_address_and_ends_with_ctrl_c(run, page_folder):
    code = (
        "import sys; from pathlib import Path; from recon.server.view import ViewOptions, view; "
        f"view(Path({str(run.path)!r}), ViewOptions(browser=False, page=Path({str(page_folder)!r})))"
    )
    process = start_program(["-c", code], run.path, stderr=subprocess.PIPE)
    try:
        line = process.stdout.readline()
        address = re.search(r"http://127\.0\.0\.1:\d+/", line)[0]
        with urllib.request.urlopen(address, timeout=20) as answer:
            assert b"viewer" in answer.read()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0 and "Traceback" not in errors, errors
    finally:
        process.kill()


def test_a_reconstruction_is_watched_and_then_shown(textured_scene, tmp_path, page_folder):
    """`reconstruct --view` with a stop from the page: the run is whole, says it was stopped, and stays on show."""
    import json

    from websockets.sync.client import connect

    from recon.datasets import write_transforms
    from recon.methods.options import ReconstructOptions
    from recon.run_folder import RunFolder

    scene = textured_scene.scene
    write_transforms(tmp_path / "capture" / "transforms.json", scene, pictures=True)
    split = tmp_path / "split.json"
    split.write_text(json.dumps({"train": list(scene.train), "test": list(scene.test)}))
    options = ReconstructOptions(
        photos=tmp_path / "capture",
        output=tmp_path / "run",
        split=split,
        preset="quick",
        device="cpu",
        settings=("train.iterations=100000", "initial.count=3000", "stereo.planes=64"),
    )
    code = (
        "from pathlib import Path; from recon.methods.options import ReconstructOptions; "
        "from recon.server.view import ViewOptions, reconstruct_and_view\n"
        "from pathlib import PosixPath, WindowsPath\n"
        f"reconstruct_and_view({options!r}, ViewOptions(browser=False, page=Path({str(page_folder)!r})))"
    )
    process = start_program(["-c", code], tmp_path, stderr=subprocess.DEVNULL)
    try:
        address = re.search(r"http://\S+/", process.stdout.readline())[0]
        states, frames = [], 0
        with connect(
            address.replace("http", "ws") + "api/live", origin=address.rstrip("/"), max_size=None
        ) as feed:
            while states[-1:] != ["stopped"]:
                message = feed.recv(timeout=120)
                if isinstance(message, bytes):
                    frames += 1
                    frame = int.from_bytes(message[8:12], "little")
                    feed.send(json.dumps({"type": "ack", "frame": frame}))
                    feed.send('{"type": "stop"}')
                    continue
                told = json.loads(message)
                if told["type"] == "progress" and [told["state"]] != states[-1:]:
                    states.append(told["state"])
        assert frames and states[0] == "waiting" and "training" in states
        session = httpx.get(f"{address}api/session", timeout=60).json()
        assert (session["kind"], session["live"], session["pictures"]) == ("run", True, True)
        assert "shown at" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    finally:
        process.kill()
    metrics = RunFolder(tmp_path / "run").read_metrics()
    assert metrics["stopped_early"] is True and 0 < metrics["iterations"] < 100_000
    assert any("stopped early" in warning for warning in metrics["warnings"])


def _raw_status(port: int, path: str) -> int:
    """Ask for a path exactly as it is written; clients would tidy it up."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as raw:
        raw.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        deadline = time.monotonic() + 20
        while b"\r\n" not in answer and time.monotonic() < deadline:
            answer += raw.recv(4096)
    return int(answer.split(b" ")[1])
