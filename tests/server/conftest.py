"""A small run folder, a page of three files, and clients that speak to the application in process."""

import numpy as np
import pytest
import torch
from starlette.testclient import TestClient

from recon.datasets import write_transforms
from recon.evaluation.pictures import picture_path
from recon.export.pictures import write_image
from recon.export.points import write_points
from recon.run_folder import RunFolder
from recon.server.access import Access
from recon.server.app import create_app
from recon.server.page_files import load_page
from recon.server.session import Stage, open_session
from recon.splats import Gaussians
from recon.splats.formats import write_splats
from recon.splats.initialize import gaussians_from_points

ADDRESS = "http://127.0.0.1:8000"
OWN = {"origin": ADDRESS}


@pytest.fixture(scope="session")
def surface(textured_scene) -> Gaussians:
    """One Gaussian for every second pixel of the first input's true surface, degree 1."""
    view = textured_scene.scene.train_views[0]
    depth = textured_scene.depths[view.name][::2, ::2]
    pixels = view.camera.pixel_centers()[::2, ::2][depth > 0]
    positions = view.camera.unproject(pixels, depth[depth > 0])
    colors = view.image[::2, ::2][depth > 0]
    gaussians = gaussians_from_points(positions, colors, depth[depth > 0] / view.camera.fx, opacity=0.9)
    sh = torch.zeros(len(gaussians), 4, 3)
    sh[:, :1] = gaussians.sh[:, :1]
    return Gaussians(**{**gaussians.tensors(), "sh": sh})


@pytest.fixture
def run(tmp_path, textured_scene, surface) -> RunFolder:
    """What `recon reconstruct` leaves behind, as far as the viewer reads it."""
    scene = textured_scene.scene
    folder = RunFolder.create(tmp_path / "run", overwrite=False)
    folder.write_config({"version": "0"})
    write_transforms(folder.cameras_file, scene)
    write_splats(folder.splat_file, surface)
    write_points(folder.stereo_points_file, surface.means.numpy(), np.full((len(surface), 3), 0.5))
    for role, views in (("train", scene.train_views), ("test", scene.test_views)):
        for view in views:
            write_image(picture_path(folder.path, f"truth/{role}", view.name), view.image)
    measured = {"per_image": {scene.test[0]: {"psnr": 21.5, "ssim": 0.75}}}
    folder.write_metrics({"test": measured})
    return folder


@pytest.fixture(scope="session")
def page_folder(tmp_path_factory):
    """A page that is recognised, without a build of the viewer."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "index.html").write_text("<!doctype html><title>viewer</title>")
    (folder / "assets").mkdir()
    (folder / "assets" / "index.js").write_text("export {}")
    (folder / "secret.key").write_text("not of a kind that pages have")
    return folder


@pytest.fixture
def make_client(page_folder):
    """A function that serves a path (or a stage) to a client in process."""
    clients = []

    def make(shown, access: Access | None = None, feed=None, patience=None) -> TestClient:
        stage = shown if isinstance(shown, Stage) else Stage(open_session(shown))
        app = create_app(stage, access or Access(), load_page(page_folder), feed, patience)
        client = TestClient(app, base_url=ADDRESS)
        client.__enter__()
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.__exit__()
