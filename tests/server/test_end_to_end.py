"""The real page on the real server, in headless Chromium: loading, our picture against the browser's, live training.

Set RECON_ARTEFACTS to a folder to keep the screenshots.
"""

import json
import os
import re
import shutil
import signal
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from recon.cli.main import main
from recon.datasets import write_transforms
from recon.datasets.clips import open_clip
from recon.run_folder import RunFolder
from recon.server.access import Access
from recon.server.app import create_app
from recon.server.page_files import FOLDER, load_page
from recon.server.running import running
from recon.server.session import Stage, open_session
from recon.splats import Gaussians
from recon.splats.formats import write_splats
from recon.splats.render import render
from recon.streaming import StreamReader
from tests.server.programs import start_program

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
    pytest.mark.skipif(not (FOLDER / "index.html").exists(), reason="the viewer's page is not built"),
]

FLAGS = [
    *("--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"),
    "--disable-dev-shm-usage",
]
"""Software WebGL, and nothing that talks to the network."""

PATIENCE = 120_000
"""Milliseconds; software rendering on a busy machine is slow."""


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS, timeout=PATIENCE)
        yield browser
        browser.close()


@contextmanager
def opened(browser, address: str, name: str, width: int = 320):
    """Open a page, wait for its first picture, keep a screenshot, and fail on whatever it writes to the console."""
    context = browser.new_context(viewport={"width": width, "height": 240}, reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    try:
        page.goto(address)
        page.wait_for_function("() => window.__recon !== undefined && window.__recon.state.session")
        yield page
        if folder := os.environ.get("RECON_ARTEFACTS"):
            page.screenshot(path=str(Path(folder) / f"{name}.png"))
        assert errors == []
    finally:
        context.close()


@contextmanager
def served(path, access: Access | None = None):
    access = access or Access()
    with running(
        create_app(Stage(open_session(path)), access, load_page()), "127.0.0.1", 0, access
    ) as address:
        yield address


def drawn(page) -> None:
    page.wait_for_function("() => window.__recon.framesDrawn > 0 && window.__recon.state.gaussians > 0")
    page.evaluate("() => window.__recon.settle()")


def picture(page, camera) -> np.ndarray:
    """Return the browser's picture of a camera without points and frusta, [H, W, 3] in [0, 1]."""
    asked = {
        "width": camera.width,
        "height": camera.height,
        "intrinsics": camera.intrinsics.tolist(),
        "worldToCamera": camera.world_to_camera.ravel().tolist(),
    }
    got = page.evaluate("camera => window.__recon.picture(camera, { layers: false })", asked)
    pixels = np.array(got["data"], np.uint8).reshape(got["height"], got["width"], 4)
    return pixels[..., :3] / 255.0


def test_a_run_is_drawn_like_our_rasterizer_draws_it(browser, run, surface, textured_scene):
    with served(run.path) as address, opened(browser, address, "run") as page:
        drawn(page)
        state = page.evaluate("() => window.__recon.state")
        assert state["gaussians"] == len(surface) and state["cameras"] == 7
        for view in (textured_scene.scene.train_views[0], textured_scene.scene.test_views[1]):
            expected = render(surface, view.camera).color.clamp(0, 1).numpy()
            error = np.abs(picture(page, view.camera) - expected).mean() * 255
            assert expected.std() > 0.05, "the picture shows something"
            assert error <= 2.0, f"mean absolute error {error:.2f} / 255"
        page.evaluate("() => window.__recon.goTo('c1')")
        page.wait_for_function("() => window.__recon.state.standingAt === 'c1'")
        page.evaluate("() => window.__recon.settle()")
        shown = page.evaluate("() => window.__recon.readPixels()")
        assert np.array(shown["data"]).reshape(-1, 4)[:, :3].std() > 10


@pytest.mark.parametrize("degree", [0, 3])
def test_view_dependent_colour_is_drawn_alike(browser, tmp_path, surface, textured_scene, degree):
    generator = torch.Generator().manual_seed(degree)
    rest = 0.15 * torch.randn(len(surface), (degree + 1) ** 2 - 1, 3, generator=generator)
    coloured = Gaussians(**{**surface.tensors(), "sh": torch.cat([surface.sh[:, :1], rest], dim=1)})
    write_splats(tmp_path / "scene.ply", coloured)
    camera = textured_scene.scene.test_views[0].camera
    with served(tmp_path / "scene.ply") as address, opened(browser, address, f"degree{degree}") as page:
        drawn(page)
        expected = render(coloured, camera).color.clamp(0, 1).numpy()
        assert np.abs(picture(page, camera) - expected).mean() * 255 <= 2.0


def test_the_exact_mode_shows_the_servers_picture(browser, run):
    with served(run.path) as address, opened(browser, address, "exact") as page:
        drawn(page)
        with page.expect_response(lambda answer: answer.url.endswith("api/picture")) as waiting:
            page.evaluate("() => window.__recon.change({ exact: true })")
        assert waiting.value.status == 200 and waiting.value.headers["content-type"] == "image/png"


def test_a_token_opens_the_page_and_leaves_the_address_bar(browser, run):
    access = Access(token="correct-horse-battery")
    with served(run.path, access) as address, opened(browser, address, "token") as page:
        drawn(page)
        assert "token" not in page.url


def test_a_training_is_watched_and_stopped_in_the_page(browser, tmp_path, textured_scene):
    scene = textured_scene.scene
    write_transforms(tmp_path / "capture" / "transforms.json", scene, pictures=True)
    (tmp_path / "split.json").write_text(json.dumps({"train": list(scene.train), "test": list(scene.test)}))
    command = [
        *(
            "-m",
            "recon",
            "reconstruct",
            str(tmp_path / "capture"),
            "-o",
            str(tmp_path / "run"),
        ),
        *(
            "--split",
            str(tmp_path / "split.json"),
            "--preset",
            "quick",
            "--device",
            "cpu",
            "--view",
            "--no-browser",
        ),
        *("--set", "train.iterations=100000", "initial.count=2000", "stereo.planes=64"),
    ]
    process = start_program(command, tmp_path)
    try:
        assert process.stdout is not None
        address = re.search(r"http://127\.0\.0\.1:\d+/", process.stdout.readline())[0]
        with opened(browser, address, "live", width=800) as page:  # wide enough for the panel
            page.wait_for_function("() => window.__recon.state.training === 'training'")
            drawn_first = page.wait_for_function("() => window.__recon.state.gaussians || null").json_value()
            page.wait_for_function("() => window.__recon.state.history > 2")
            seen = page.evaluate("() => window.__recon.state.iteration")
            page.wait_for_function(f"() => window.__recon.state.iteration > {seen}")
            page.on("dialog", lambda dialog: dialog.accept())  # the page asks whether one is sure
            page.get_by_role("button", name="Stop", exact=True).click()
            page.wait_for_function("() => window.__recon.state.training === 'stopped'")
            page.wait_for_function("() => window.__recon.state.cameras === 7")
            assert drawn_first > 500
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    finally:
        process.kill()
    assert RunFolder(tmp_path / "run").read_metrics()["stopped_early"] is True


def test_a_clip_is_made_encoded_served_and_played(browser, tmp_path):
    """The commands as a person types them; the page shows the last frame as our rasterizer draws the file's."""
    clip, stream = str(tmp_path / "clip"), str(tmp_path / "stream")
    made = ["synth", "moving", "-o", clip, "--quality", "draft", "--size", "64", "48", "--frames", "3"]
    main([*made, "--no-depth", "--no-masks"])
    tiny = ["first.settings=[train.iterations=40, initial.count=1500]", "frame.iterations=10"]
    tiny += ["preview_gaussians=300", "renewal.seconds=0.06"]  # what has moved is renewed in frame 2
    main(["stream", "encode", clip, "-o", stream, "--set", *tiny])
    state = StreamReader(stream).state_at(2)

    process = start_program(["-m", "recon", "serve", stream], tmp_path)
    try:
        address = re.search(r"http://\S+", process.stdout.readline())[0]
        with opened(browser, address, "stream") as page:
            page.wait_for_function(
                "() => window.__recon.player?.state === 'paused'"
            )  # less motion was asked for
            page.evaluate("() => window.__recon.player.play()")
            page.wait_for_function("() => window.__recon.player.state === 'ended'")
            page.evaluate("() => window.__recon.player.seek(1)")
            page.wait_for_function("() => window.__recon.player.shown === 1")
            page.evaluate("() => window.__recon.player.seek(2)")
            page.wait_for_function("() => window.__recon.player.shown === 2")
            page.evaluate("() => window.__recon.settle()")
            assert page.evaluate("() => window.__recon.player.statistics.refused") == 0
            view = open_clip(clip).scene(2).test_views[0]
            expected = render(state.gaussians(), view.camera).color.clamp(0, 1).numpy()
            assert np.abs(picture(page, view.camera) - expected).mean() < 0.01
            assert expected.mean() > 0.1
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
