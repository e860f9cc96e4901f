"""Image means and gradient norms of the benchmark scenes, which three other implementations agree on.

The values were measured with two public rasterizers and an independent prototype, which agree to five or six digits;
the third and fourth scene differ in the last digits where a pixel stops one Gaussian earlier or later.
"""

import importlib.util
import sys
from pathlib import Path

import pytest
import torch

from recon import ops

GOLDEN = {
    (20_000, "400x300"): (0.176219, 7.62571, 0.0290142, 6.5256, 0.0330792, 0.0712773),
    (20_000, "800x600"): (0.14398, 4.433, 0.0195208, 4.4658, 0.0162597, 0.0331455),
    (100_000, "400x300"): (0.334474, 11.3035, 0.0441196, 10.0328, 0.0465168, 0.12975),
    (100_000, "800x600"): (0.316875, 7.16809, 0.03212, 7.31017, 0.0257417, 0.0695268),
}


def benchmark_scene(count, size):
    path = Path(__file__).parents[2] / "benchmarks" / "rasterizer_scene.py"
    spec = importlib.util.spec_from_file_location("rasterizer_scene", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module.benchmark_scene(count, size)


@pytest.mark.parametrize("count, size", GOLDEN)
def test_image_mean_and_gradient_norms(count, size):
    scene = benchmark_scene(count, size)
    parameters = {name: tensor.requires_grad_() for name, tensor in scene.parameters.items()}
    colors = parameters.pop("colors")
    image = ops.rasterize(
        *parameters.values(),
        None,
        scene.world_to_camera,
        scene.intrinsics,
        scene.width,
        scene.height,
        colors=colors,
    ).color
    image.backward(scene.upstream)
    mean, *norms = GOLDEN[count, size]
    assert image.mean().item() == pytest.approx(mean, rel=1e-5)
    got = [tensor.grad.abs().sum().item() for tensor in (*parameters.values(), colors)]
    assert got == pytest.approx(norms, rel=3e-5)
    assert torch.isfinite(image).all()
