"""POST api/picture: our rasterizer's picture, one at a time, and refusals."""

import io
import json
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from recon.splats.render import render

OWN = {"origin": "http://127.0.0.1:8000"}


@pytest.fixture
def wish(textured_scene) -> dict:
    camera = textured_scene.scene.test_views[0].camera
    return {
        "world_to_camera": camera.world_to_camera.ravel().tolist(),
        "intrinsics": camera.intrinsics.tolist(),
        "width": camera.width,
        "height": camera.height,
        "mode": "color",
    }


def pixels(answer) -> np.ndarray:
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content)))


def test_the_picture_is_the_rasterizers(run, make_client, wish, surface, textured_scene):
    got = pixels(make_client(run.path).post("/api/picture", json=wish, headers=OWN))
    expected = render(surface, textured_scene.scene.test_views[0].camera).color.numpy()
    assert np.abs(got / 255 - expected.clip(0, 1)).max() <= 0.5 / 255 + 1e-6


def test_modes_and_transparency(run, make_client, wish):
    client = make_client(run.path)
    shape = (wish["height"], wish["width"])
    depth = client.post("/api/picture", json={**wish, "mode": "depth"}, headers=OWN)
    assert pixels(depth).shape == (*shape, 3)
    assert 0 < float(depth.headers["x-depth-near"]) < float(depth.headers["x-depth-far"])
    assert pixels(client.post("/api/picture", json={**wish, "mode": "normal"}, headers=OWN)).shape == (
        *shape,
        3,
    )
    alpha = pixels(client.post("/api/picture", json={**wish, "mode": "alpha"}, headers=OWN))
    assert alpha.shape == shape and alpha.max() > 200
    clear = pixels(client.post("/api/picture", json={**wish, "transparent": True}, headers=OWN))
    np.testing.assert_array_equal(clear[..., 3], alpha)
    solid = pixels(client.post("/api/picture", json=wish, headers=OWN))
    blended = clear[..., :3] * (clear[..., 3:] / 255.0)
    assert np.abs(blended - solid).max() <= 2


def test_confidence_compares_with_the_photos_of_the_run(run, make_client, wish):
    confident = pixels(
        make_client(run.path).post("/api/picture", json={**wish, "mode": "confidence"}, headers=OWN)
    )
    assert confident.shape == (wish["height"], wish["width"], 3)
    assert np.unique(confident.reshape(-1, 3), axis=0).shape[0] > 20


def test_without_photos_there_is_no_confidence(run, make_client, wish):
    answer = make_client(run.splat_file).post(
        "/api/picture", json={**wish, "mode": "confidence"}, headers=OWN
    )
    assert answer.status_code == 400 and "no input photos" in answer.text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"width": 5000}, "width must be"),
        ({"width": 4096, "height": 4096}, "too large"),
        ({"height": 0}, "height must be"),
        ({"width": "100"}, "width must be"),
        ({"width": True}, "width must be"),
        ({"intrinsics": [1, 2, 3]}, "intrinsics must be 4 numbers"),
        ({"intrinsics": [1e8, 1e8, 1, 1]}, "makes no picture"),
        ({"intrinsics": [-50, 50, 1, 1]}, "makes no picture"),
        ({"intrinsics": [10**400, 1, 1, 1]}, "intrinsics must be 4 numbers"),
        ({"world_to_camera": [0] * 16}, "camera pose"),
        ({"world_to_camera": None}, "world_to_camera must be 16"),
        ({"mode": "secret"}, "mode must be"),
        ({"sh_degree": 7}, "sh_degree"),
        ({"transparent": "yes"}, "transparent"),
    ],
)
def test_wrong_wishes_get_a_sentence(run, make_client, wish, changes, words):
    answer = make_client(run.path).post("/api/picture", json={**wish, **changes}, headers=OWN)
    assert answer.status_code == 400 and words in answer.json()["error"]


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"NaN", b"[" * 60000, b"\xff\xfe", b'{"width": NaN}'])
def test_what_is_not_json_gets_a_sentence(run, make_client, body):
    headers = {**OWN, "content-type": "application/json"}
    answer = make_client(run.path).post("/api/picture", content=body, headers=headers)
    assert answer.status_code == 400 and answer.json()["error"]


def test_one_picture_at_a_time(run, make_client, wish, monkeypatch):
    from recon.server.pictures import SplatPictures

    client, at_once, most = make_client(run.path), [0], [0]
    draw = SplatPictures.draw

    def watched(self, request):
        at_once[0] += 1
        most[0] = max(most[0], at_once[0])
        time.sleep(0.05)
        drawn = draw(self, request)
        at_once[0] -= 1
        return drawn

    monkeypatch.setattr(SplatPictures, "draw", watched)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: client.post("/api/picture", json=wish, headers=OWN), range(4)))
    assert most[0] == 1 and {answer.status_code for answer in answers} == {200}


def test_a_live_training_draws_no_pictures_yet(make_client, wish):
    from recon.server.session import Stage, live_session

    answer = make_client(Stage(live_session(None))).post(
        "/api/picture", content=json.dumps(wish), headers={**OWN, "content-type": "application/json"}
    )
    assert answer.status_code == 409 and "training" in answer.json()["error"]
