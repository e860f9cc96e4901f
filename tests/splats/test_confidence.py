"""Confidence says how many input photos see a Gaussian, and nothing else."""

import numpy as np
import pytest
import torch

from recon.errors import ReconError
from recon.scene import Camera, look_at
from recon.splats import Gaussians
from recon.splats.confidence import coverage_confidence
from recon.splats.confidence_file import read_confidence_file, write_confidence_file

UP = np.array([0.0, -1.0, 0.0])


def camera(x: float) -> Camera:
    pose = look_at(np.array([x, 0.0, -5.0]), np.array([x, 0.0, 0.0]), UP)
    return Camera(pose, 60.0, 60.0, 32.0, 32.0, 64, 64)


def gaussians(positions, size: float = 0.1, opacity: float = 0.9) -> Gaussians:
    n = len(positions)
    return Gaussians(
        means=torch.tensor(positions, dtype=torch.float32),
        log_scales=torch.full((n, 3), size).log(),
        quaternions=torch.tensor([[1.0, 0, 0, 0]]).repeat(n, 1),
        opacity_logits=torch.full((n,), opacity).logit(),
        sh=torch.zeros(n, 1, 3),
    )


def test_counts_the_photos_that_see_a_gaussian():
    one = gaussians([[0.0, 0.0, 0.0]])
    for count in (0, 1, 2, 3, 5):
        cameras = [camera(0.1 * i) for i in range(count)]
        assert coverage_confidence(one, cameras).item() == pytest.approx(min(1, count / 3), abs=1e-3)


@pytest.mark.parametrize(("size", "opacity"), [(0.005, 0.9), (0.1, 0.03), (0.4, 0.999)])
def test_does_not_depend_on_size_or_opacity(size, opacity):
    value = coverage_confidence(gaussians([[0.05, 0.02, 0.0]], size, opacity), [camera(0), camera(0.1)])
    assert value.item() == pytest.approx(2 / 3, abs=0.02)


def test_what_is_hidden_or_out_of_sight_has_none():
    across = np.arange(-1, 1.01, 0.2)
    layers = [[x, y, z] for x in across for y in across for z in (1.0, 1.1, 1.2, 1.3, 1.4)]
    scene = gaussians([*layers, [0.0, 0.0, 3.0], [50.0, 0.0, 0.0], [0.0, 0.0, -9.0]])
    confidence = coverage_confidence(scene, [camera(-0.1), camera(0), camera(0.1)])
    hidden, beside, behind = confidence[-3:].tolist()
    assert hidden < 0.05 and beside == 0 and behind == 0
    assert confidence[: len(layers) : 5].median() > 0.9


def test_the_file_comes_back_and_a_damaged_one_is_refused(tmp_path):
    path, values = tmp_path / "confidence.safetensors", torch.rand(100)
    write_confidence_file(path, values)
    assert torch.equal(read_confidence_file(path), values)
    whole = path.read_bytes()
    for content in (b"", whole[:50], whole[:-5], b"\xff" * 8 + whole[8:]):
        path.write_bytes(content)
        with pytest.raises(ReconError, match="confidence"):
            read_confidence_file(path)
    for wrong in (
        torch.tensor([0.5, float("nan")]),
        torch.tensor([1.5]),
        torch.rand(2, 2),
        torch.tensor([1]),
    ):
        from safetensors.torch import save

        path.write_bytes(save({"confidence": wrong}))
        with pytest.raises(ReconError, match="damaged"):
            read_confidence_file(path)
