"""Which measurement on the object a run gets: its protocol decides, and measuring again keeps to it."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from recon.datasets import load_protocol, protocol_names
from recon.datasets.spare import picture_name
from recon.evaluation import metrics
from recon.methods.options import ReconstructOptions, read_settings, resolve
from recon.methods.pipeline import evaluate, reconstruct

FAST = ("train.iterations=10", "initial.count=800", "stereo.planes=32")


@pytest.fixture(scope="module")
def run(object_scene, tmp_path_factory):
    """A finished run of a scene with masks, in SpaRe's layout and by its protocol."""
    folder = tmp_path_factory.mktemp("spare")
    scene = object_scene.scene
    for part in ("calibration", "images/thing", "masks/thing"):
        (folder / part).mkdir(parents=True)
    names = [*scene.train[:3], *scene.test]
    for index, name in enumerate(names):
        view = scene.view(name)
        camera = view.camera.resized(1600, 1200)
        np.savetxt(
            folder / "calibration" / f"pos_{index + 1:03d}.txt", camera.matrix @ camera.world_to_camera[:3]
        )
        picture = Image.fromarray(np.round(view.image * 255).astype(np.uint8))
        picture.save(folder / "images" / "thing" / picture_name(index, "DTU"))
        Image.fromarray(view.mask).convert("L").save(folder / "masks" / "thing" / f"{index:03d}.png")
    split = {"thing": {"input_views": [0, 1, 2], "test_views": [3, 4], "dataset": "DTU"}}
    (folder / "Track1_split_development.json").write_text(json.dumps(split))
    return reconstruct(
        ReconstructOptions(
            folder,
            folder / "run",
            method="splat",
            preset="quick",
            protocol="spare",
            views=3,
            device="cpu",
            settings=FAST,
        )
    )


def from_pictures(run, index: int) -> dict[str, tuple[float, float]]:
    """Measure a view's written pictures by the book: (in the mask's box, on white) for each metric."""
    name = f"{picture_name(index, 'DTU')}.png"
    image, truth = (
        np.asarray(Image.open(run.path / kind / "test" / name), np.float32) / 255
        for kind in ("renders", "truth")
    )
    mask = np.asarray(Image.open(run.path.parent / "masks" / "thing" / f"{index:03d}.png")) == 255
    rows, columns = np.nonzero(mask)
    box = (slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1))
    white = [np.where(mask[..., None], picture, 1) for picture in (image, truth)]
    on_mask = -10 * np.log10(((image - truth)[mask] ** 2).mean())
    similar = (metrics.ssim(image[box], truth[box]), metrics.ssim(*white))
    return {"psnr_masked": (on_mask, on_mask), "ssim_masked": similar}


def test_protocols_state_their_masked_metrics():
    stated = {name: load_protocol(name).masked for name in protocol_names()}
    assert stated.pop("dtu") == "white"
    assert set(stated.values()) == {"box"} and "spare" in stated


def test_a_run_follows_its_protocol(tmp_path):
    for protocol, expected in (("spare", "box"), ("dtu", "white"), (None, "box")):
        options = ReconstructOptions(tmp_path, tmp_path / "run", protocol=protocol, device="cpu")
        assert resolve(options).masked == expected


def test_spare_measures_in_the_box(run):
    assert read_settings(run).masked == "box"
    per_image = run.read_metrics()["test"]["per_image"]
    for index in (3, 4):
        found, expected = per_image[picture_name(index, "DTU")], from_pictures(run, index)
        assert found["psnr_masked"] == pytest.approx(expected["psnr_masked"][0], abs=0.1)
        assert found["ssim_masked"] == pytest.approx(expected["ssim_masked"][0], abs=0.005)
        assert abs(expected["ssim_masked"][0] - expected["ssim_masked"][1]) > 0.05, (
            "the two can be told apart"
        )
        assert found["average_masked"] is None, "LPIPS is not measured without its weights"


def test_measuring_again_keeps_to_the_runs_own_protocol(run, monkeypatch):
    """The same run, had its protocol said white."""
    before = run.read_metrics()
    evaluate(run.path)
    assert run.read_metrics() == before
    from recon.datasets import protocols

    def white(name):
        return replace(load_protocol(name), masked="white")

    monkeypatch.setattr(protocols, "load_protocol", white)
    evaluate(run.path)
    after = run.read_metrics()
    for index in (3, 4):
        name = picture_name(index, "DTU")
        one, other = (metrics["test"]["per_image"][name] for metrics in (before, after))
        assert other["psnr_masked"] == one["psnr_masked"] and other["ssim"] == one["ssim"]
        assert other["ssim_masked"] == pytest.approx(from_pictures(run, index)["ssim_masked"][1], abs=0.005)
