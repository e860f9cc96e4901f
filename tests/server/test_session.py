"""What a page is told, and the files behind it."""

import json
import struct

import numpy as np
import pytest
import torch

from recon.errors import ReconError
from recon.server.page_files import load_page
from recon.server.session import live_session, open_session
from recon.splats.confidence import coverage_confidence
from recon.splats.confidence_file import write_confidence_file
from recon.splats.formats import decode_ply, write_splats


def test_a_run_is_told_whole(run, make_client, textured_scene, surface):
    client, scene = make_client(run.path), textured_scene.scene
    told = client.get("/api/session").json()
    assert (told["protocol"], told["kind"], told["live"], told["pictures"]) == (1, "run", False, True)
    assert told["splat"] == {
        "file": "splat",
        "format": "ply",
        "bytes": run.splat_file.stat().st_size,
        "gaussians": len(surface),
        "sh_degree": 1,
    }
    assert [camera["name"] for camera in told["cameras"]] == [*scene.train, *scene.test]
    assert [camera["role"] for camera in told["cameras"]] == ["train"] * 5 + ["test"] * 2
    first, held_out = told["cameras"][0], told["cameras"][5]
    view = scene.train_views[0]
    np.testing.assert_allclose(first["world_to_camera"], view.camera.world_to_camera.ravel(), atol=1e-9)
    np.testing.assert_allclose(first["intrinsics"], view.camera.intrinsics)
    assert (first["photo"], first["picture"], first["psnr"]) == ("photo-c0", None, None)
    assert (held_out["photo"], held_out["psnr"], held_out["ssim"]) == ("photo-c5", 21.5, 0.75)
    assert told["layers"] == {"points": "points", "mesh": None}
    assert told["poses"] == "given" and told["run_folder"] == str(run.path)
    assert np.linalg.norm(told["up"]) == pytest.approx(1)
    assert told["up"] @ -view.camera.world_to_camera[1, :3] > 0.5


def test_every_id_that_is_told_is_served(run, make_client, surface):
    client = make_client(run.path)
    told = client.get("/api/session").json()
    splat = client.get("/api/files/splat")
    assert splat.content == run.splat_file.read_bytes()
    assert int(splat.headers["content-length"]) == told["splat"]["bytes"]
    assert torch.equal(decode_ply(splat.content, "served").means, surface.means)
    for camera in told["cameras"]:
        photo = client.get(f"/api/files/{camera['photo']}")
        assert photo.headers["content-type"] == "image/png" and photo.content[:4] == b"\x89PNG"
    assert client.get("/api/files/points").content.startswith(b"ply\n")


def test_confidence_is_the_runs_own_or_is_made(run, make_client, surface, textured_scene):
    served = np.frombuffer(make_client(run.path).get("/api/files/confidence").content, "<f4")
    cameras = [view.camera for view in textured_scene.scene.train_views]
    np.testing.assert_array_equal(served, coverage_confidence(surface, cameras).numpy())
    own = torch.linspace(0, 1, len(surface))
    write_confidence_file(run.confidence_file, own)
    served = np.frombuffer(make_client(run.path).get("/api/files/confidence").content, "<f4")
    np.testing.assert_array_equal(served, own.numpy())


@pytest.mark.parametrize("suffix", [".ply", ".spz", ".splat"])
def test_a_splat_file_is_shown_without_cameras(tmp_path, make_client, surface, suffix):
    path = tmp_path / f"scene{suffix}"
    write_splats(path, surface)
    client = make_client(path)
    told = client.get("/api/session").json()
    assert told["kind"] == "splat" and told["title"] == path.name and told["cameras"] == []
    assert told["splat"]["format"] == suffix[1:] and told["splat"]["gaussians"] == len(surface)
    assert client.get("/api/files/splat").content == path.read_bytes()


def test_a_live_session_never_opens_held_out_photos(textured_scene):
    scene = textured_scene.scene
    session = live_session(None, scene)
    cameras = session.description["cameras"]
    assert session.description["kind"] == "live" and session.pictures is None
    assert [camera["photo"] is None for camera in cameras] == [False] * 5 + [True] * 2
    opened = session.files.open(cameras[0]["photo"])
    assert opened.media_type == "image/png" and next(opened.chunks)[:4] == b"\x89PNG"


def test_the_page_and_its_assets_are_served(run, make_client):
    client = make_client(run.path)
    assert client.get("/").headers["content-type"].startswith("text/html")
    assert "viewer" in client.get("/index.html").text
    assert client.get("/assets/index.js").headers["content-type"].startswith("text/javascript")
    assert client.get("/secret.key").status_code == 404


def test_what_cannot_be_shown_is_told_in_a_sentence(tmp_path, run):
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.ply").write_bytes(b"ply\nformat ascii 1.0\nend_header\n")
    for path, words in (
        (tmp_path / "nothing", "there is nothing at"),
        (tmp_path / "empty", "is not a run folder"),
        (tmp_path / "bad.ply", "no 'vertex' element"),
    ):
        with pytest.raises(ReconError, match=words):
            open_session(path)
    run.splat_file.unlink()
    with pytest.raises(ReconError, match="did not finish"):
        open_session(run.path)
    with pytest.raises(ReconError, match="page is missing"):
        load_page(tmp_path)


def test_points_are_a_ply_that_holds_what_it_states(run):
    content = run.stereo_points_file.read_bytes()
    header, _, body = content.partition(b"end_header\n")
    count = int(header.split(b"element vertex ")[1].split()[0])
    assert len(body) == 15 * count
    assert struct.unpack_from("<3B", body, 12) == (128, 128, 128)


def test_the_description_is_plain_json(run):
    json.dumps(open_session(run.path).description, allow_nan=False)
