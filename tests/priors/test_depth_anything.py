"""The adapter of Depth Anything, with a tiny model of random weights that is written to disk and read again."""

import sys

import numpy as np
import pytest

from recon.errors import ReconError
from recon.priors.depth_anything import (
    DepthAnything,
    fit_scale_and_offset,
    load_depth_anything,
    predict_disparity,
)
from recon.stereo import DepthMap


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    import torch

    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    backbone = transformers.Dinov2Config(
        hidden_size=32,
        num_hidden_layers=4,
        num_attention_heads=2,
        image_size=518,
        patch_size=14,
        out_indices=[1, 2, 3, 4],
        reshape_hidden_states=False,
        apply_layernorm=True,
    )
    config = transformers.DepthAnythingConfig(
        backbone_config=backbone,
        reassemble_hidden_size=32,
        neck_hidden_sizes=[8, 8, 8, 8],
        fusion_hidden_size=8,
        head_hidden_size=8,
    )
    path = tmp_path_factory.mktemp("depth_anything")
    transformers.DepthAnythingForDepthEstimation(config).save_pretrained(path)
    return path


def test_the_model_from_disk_predicts_a_map_of_the_photos_size(folder, textured_scene):
    image = textured_scene.scene.train_views[0].image
    model = load_depth_anything(folder)
    disparity = predict_disparity(model, image)
    assert disparity.shape == image.shape[:2] and (disparity >= 0).all() and np.isfinite(disparity).all()
    np.testing.assert_array_equal(disparity, predict_disparity(load_depth_anything(folder), image))


def test_the_depth_is_brought_to_the_scenes_scale(folder, textured_scene):
    view = textured_scene.scene.train_views[0]
    truth = textured_scene.depths[view.name]
    nothing = np.zeros(truth.shape, bool)
    stereo = DepthMap(truth, np.ones_like(truth), np.zeros((*truth.shape, 3), np.float32), nothing)
    (depth,) = DepthAnything(folder)([view], [stereo])
    assert depth.shape == truth.shape and (depth > 0).all()
    assert 0.8 < np.median(depth) / np.median(truth) < 1.25, (
        "random weights know no shape, but the scale is stereo's"
    )


def test_too_little_stereo_is_told(folder, textured_scene):
    view = textured_scene.scene.train_views[0]
    nothing = np.zeros((72, 96), np.float32)
    stereo = DepthMap(nothing, nothing, np.zeros((72, 96, 3), np.float32), np.zeros((72, 96), bool))
    with pytest.raises(ReconError, match="too few to bring learned depth to scale"):
        DepthAnything(folder)([view], [stereo])


def test_scale_and_offset_survive_outliers():
    random = np.random.default_rng(0)
    relative = random.uniform(1, 5, (50, 60))
    depth = 3.0 * relative + 0.5
    spoiled = depth.copy()
    spoiled[:15] *= 4
    scale, offset = fit_scale_and_offset(relative, spoiled, np.ones(depth.shape, bool))
    assert scale == pytest.approx(3.0, rel=0.02) and offset == pytest.approx(0.5, abs=0.1)


def test_missing_weights_and_a_missing_package_are_told(tmp_path, monkeypatch):
    pytest.importorskip("transformers")
    with pytest.raises(ReconError, match=r"has no config\.json"):
        load_depth_anything(tmp_path)
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ReconError, match=r"recon\[priors\]"):
        load_depth_anything(tmp_path)


def test_weights_that_are_pickles_are_not_opened(folder, tmp_path):
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(ReconError, match=r"has no model\.safetensors"):
        load_depth_anything(tmp_path)
