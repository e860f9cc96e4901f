"""`coherent` end to end: it learns, resumes exactly, reports its holes, and each of its parts can be switched off."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from recon.coherence.fields import DecodedField, FreeField
from recon.config import from_plain, merged, parse_overrides, to_plain
from recon.datasets import write_transforms
from recon.errors import ReconError
from recon.evaluation.pictures import picture_path
from recon.losses import LayeredSmoothness
from recon.methods import coherent
from recon.methods.coherent import CoherentConfig
from recon.methods.inputs import Inputs
from recon.methods.options import ReconstructOptions
from recon.methods.pipeline import reconstruct
from recon.scene import View
from recon.splats.formats import read_splats
from recon.splats.render import render
from recon.stereo import DepthMap
from recon.synth.raycast import raycast_scene
from recon.train.checkpoint import load_checkpoint, save_checkpoint

TINY = (
    "train.iterations=16",
    "train.checkpoint_every=6",
    "train.log_every=5",
    "count=3000",
    "alignment.iterations=20",
    "geometry.channels=2",
    "opacity.channels=2",
    "novel_views=1",
)


@pytest.fixture(scope="module")
def room():
    return raycast_scene("box_room", views=3, test_views=1, size=(64, 48))


@pytest.fixture(scope="module")
def inputs(room) -> Inputs:
    """True depth with gaps and noise, as stereo would give it."""
    random = np.random.default_rng(0)
    depths = []
    for view in room.scene.train_views:
        truth = room.depths[view.name]
        known = random.random(truth.shape) < 0.7
        depth = np.where(known, truth * random.normal(1, 0.005, truth.shape), 0).astype(np.float32)
        depths.append(
            DepthMap(depth, known.astype(np.float32), np.zeros((*depth.shape, 3), np.float32), ~known)
        )
    near, far = room.scene.bounds
    return Inputs(room.scene.train_views, depths, None, near, far)


def config(*settings: str) -> CoherentConfig:
    plain = to_plain(CoherentConfig())
    return from_plain(CoherentConfig, merged(plain, parse_overrides([*TINY, *settings])))


def compose(inputs, *settings: str, seed: int = 0):
    return coherent.compose(inputs, config(*settings), seed, torch.device("cpu"))


def psnr(gaussians, view) -> float:
    picture = render(gaussians, view.camera).color
    return float(-10 * torch.log10((picture - torch.as_tensor(view.image)).square().mean()))


def test_training_improves_the_photos_and_the_held_out_view(room, inputs):
    settings = ("train.iterations=60", "geometry.rate=1e-3", "count=100000", "rays.release=0.2")
    trainer = compose(inputs, *settings, "train.rates.sh_constant=5e-3", "train.rates.log_scales=1e-2")
    seen, unseen = room.scene.train_views[0], room.scene.test_views[0]
    before = [psnr(trainer.gaussians.gaussians.detach(), view) for view in (seen, unseen)]
    trainer.run()
    after = [psnr(trainer.gaussians.gaussians.detach(), view) for view in (seen, unseen)]
    assert after[0] > before[0] + 2 and after[1] > before[1] + 0.5


def test_equal_seeds_give_equal_results(inputs):
    results = []
    for seed in (1, 1, 2):
        trainer = compose(inputs, seed=seed)
        trainer.run()
        results.append(trainer.gaussians.gaussians.detach())
    assert torch.equal(results[0].means, results[1].means)
    assert not torch.equal(results[0].means, results[2].means)


@pytest.mark.parametrize(
    "settings", [(), ("geometry.enabled=false", "opacity.enabled=false"), ("dropout.end_rate=0.4",)]
)
def test_a_resumed_training_continues_bit_exactly(inputs, tmp_path, settings):
    settings = (*settings, "rays.radius_every=4", "multisampling.start=0.2", "train.sh_degree=1")
    whole = compose(inputs, *settings)
    whole.run()
    first = compose(inputs, *settings)
    while first.iteration < 7:
        first.step()
    save_checkpoint(first, tmp_path, "settings")
    second = compose(inputs, *settings, seed=9)
    assert load_checkpoint(second, tmp_path, "settings") and second.iteration == 7
    second.run()
    for name, tensor in whole.state().items():
        if name != "trainer.seconds":
            assert torch.equal(tensor, second.state()[name]), name


def test_every_part_can_be_switched_off(inputs):
    whole = compose(inputs)
    assert isinstance(whole.gaussians.geometry, DecodedField) and len(whole.terms) == 3
    free = compose(inputs, "geometry.enabled=false", "opacity.enabled=false")
    assert isinstance(free.gaussians.geometry, FreeField) and isinstance(free.gaussians.opacity, FreeField)
    assert len(compose(inputs, "flow=0").terms) == 2
    without = compose(inputs, "smoothness=0")
    assert not any(isinstance(term, LayeredSmoothness) for term in without.terms)
    aligned, raw = compose(inputs), compose(inputs, "alignment.iterations=0")
    assert not torch.equal(aligned.gaussians.grids[1].depth, raw.gaussians.grids[1].depth)
    assert whole.dropout is None and compose(inputs, "dropout.end_rate=0.2").dropout is not None
    fine = {whole.multisampling.samples(0.9, torch.Generator().manual_seed(i)) for i in range(20)}
    assert fine == {1, 2, 3, 4}
    off = compose(inputs, "multisampling.highest=1").multisampling
    assert {off.samples(0.9, torch.Generator().manual_seed(i)) for i in range(20)} == {1}


def test_dense_flow_takes_the_place_of_stereo(inputs):
    trainer = compose(inputs, "priors.flow=dis")
    trainer.step()
    assert trainer.terms[-1]._loss([grid.depth for grid in trainer.gaussians.grids], 0) is not None


def test_holes_are_filled_only_when_asked(inputs):
    trainer = compose(inputs)
    gaussians = trainer.gaussians.gaussians.detach()
    assert coherent.finish(gaussians, inputs, config("priors.repair=none")) is gaussians
    filled = coherent.finish(gaussians, inputs, config("priors.repair=inpainting"))
    assert len(filled) > len(gaussians)
    assert coherent.finish(gaussians, replace(inputs, background=(0.0, 0.0, 0.0)), config()) is gaussians


def test_learned_depth_without_its_folder_is_told(inputs):
    with pytest.raises(ReconError, match=r"needs priors\.depth_folder"):
        compose(inputs, "priors.depth=depth-anything")


def test_no_held_out_photo_is_opened(room, inputs):
    def forbidden():
        raise AssertionError("a held-out photo was opened")

    scene = room.scene
    hidden = [View(view.name, view.camera, forbidden) for view in scene.test_views]
    trainer = compose(inputs)
    trainer.run()
    coherent.finish(trainer.gaussians.gaussians.detach(), inputs, config())
    assert {view.name for view in trainer.sampler.photos}.isdisjoint(view.name for view in hidden)


@pytest.fixture(scope="module")
def capture(room, tmp_path_factory):
    folder = tmp_path_factory.mktemp("capture")
    scene = room.scene
    write_transforms(folder / "transforms.json", scene, pictures=True)
    (folder / "split.json").write_text(json.dumps({"train": list(scene.train), "test": list(scene.test)}))
    return folder


def options(capture, output, *settings: str, **changes) -> ReconstructOptions:
    values = {
        "photos": capture,
        "output": output,
        "method": "coherent",
        "preset": "quick",
        "split": capture / "split.json",
        "device": "cpu",
        "settings": (*TINY, "stereo.planes=64", *settings),
    }
    return ReconstructOptions(**{**values, **changes})


def test_a_killed_run_resumes_to_the_same_splat_and_reports_its_holes(capture, tmp_path, monkeypatch):
    from recon.train.trainer import Trainer

    whole = reconstruct(options(capture, tmp_path / "whole"))
    step = Trainer.step

    def killed_at_10(self):
        if self.iteration == 10:
            raise KeyboardInterrupt
        return step(self)

    monkeypatch.setattr(Trainer, "step", killed_at_10)
    with pytest.raises(KeyboardInterrupt):
        reconstruct(options(capture, tmp_path / "run"))
    monkeypatch.undo()
    run = reconstruct(options(capture, tmp_path / "run", resume=True))
    for name, tensor in read_splats(whole.splat_file).tensors().items():
        assert torch.equal(tensor, read_splats(run.splat_file).tensors()[name]), name

    metrics = run.read_metrics()
    assert metrics["method"] == "coherent" and metrics["gaussians"] == len(read_splats(run.splat_file))
    coverage = metrics["coverage"]
    assert set(coverage["per_image"]) == {"test_00.png"} and 0.5 < coverage["mean"] <= 1
    assert picture_path(run.path, "depth", "test_00.png", "_coverage").is_file()


def test_what_was_invented_is_not_counted_as_covered(capture, tmp_path):
    """Inpainting fills the picture, but no photo shows what it put there."""
    shares, renders = [], []
    for repair in ("none", "inpainting"):
        run = reconstruct(options(capture, tmp_path / repair, f"priors.repair={repair}"))
        shares.append(run.read_metrics()["coverage"]["mean"])
        renders.append(len(read_splats(run.splat_file)))
    assert renders[1] > renders[0]
    assert shares[1] == pytest.approx(shares[0], abs=0.02)
