"""The CUDA rasterizer against the double-precision twin: on a GPU where there is one, else emulated."""

import pytest
import torch

from recon.ops import rasterize, reference

WIDTH, HEIGHT = 37, 29
OUTPUTS = ("color", "depth", "median_depth", "normal", "features", "contribution")
PICTURES = ("color", "alpha", "depth", "median_depth", "normal", "features")
NAMES = (
    "means",
    "quaternions",
    "scales",
    "opacities",
    "appearance",
    "world_to_camera",
    "intrinsics",
    "features",
    "background",
    "screen_offsets",
)


def scene(count, bases):
    """Gaussians around (0, 0, 3), some behind the camera, some outside the picture, some invisible."""
    means = torch.rand(count, 3) * 2 - 1
    means[:, 2] += 3
    means[:3, 2] -= 6
    means[3:6, 0] += 40
    opacities = torch.rand(count) * 0.98 + 0.01
    opacities[6] = 0.001
    pose = torch.eye(4)
    angle = torch.tensor(0.2)
    pose[0, 0] = pose[2, 2] = angle.cos()
    pose[0, 2], pose[2, 0] = angle.sin(), -angle.sin()
    pose[:3, 3] = torch.tensor([0.1, -0.05, 0.2])
    return [
        means,
        torch.randn(count, 4),
        torch.exp(torch.rand(count, 3) * 2.5 - 4),
        opacities,
        torch.randn(count, 3) if bases is None else 0.4 * torch.randn(count, bases, 3),
        pose,
        torch.tensor([42.0, 40.0, 18.0, 15.0]),
        torch.randn(count, 18),
        torch.tensor([0.2, 0.5, 0.1]),
        torch.zeros(count, 2),
    ]


def run(function, tensors, dtype, device, plain_colors, pictures, **settings):
    """Return all outputs and the gradients of a fixed random sum of the given pictures."""
    leaves = [tensor.to(device, dtype).clone().requires_grad_() for tensor in tensors]
    means, quaternions, scales, opacities, appearance, pose, intrinsics, features, background, offsets = (
        leaves
    )
    rendered = function(
        means,
        quaternions,
        scales,
        opacities,
        None if plain_colors else appearance,
        pose,
        intrinsics,
        WIDTH,
        HEIGHT,
        colors=appearance if plain_colors else None,
        features=features,
        background=background,
        outputs=OUTPUTS,
        screen_offsets=offsets,
        **settings,
    )
    generator = torch.Generator().manual_seed(5)
    loss = sum(
        (
            getattr(rendered, name)
            * torch.rand(getattr(rendered, name).shape, generator=generator).to(device, dtype)
        ).sum()
        for name in pictures
    )
    loss.backward()
    outputs = {
        name: getattr(rendered, name).detach().cpu().double() for name in (*PICTURES, "radii", "contribution")
    }
    return outputs, {
        name: None if leaf.grad is None else leaf.grad.cpu().double()
        for name, leaf in zip(NAMES, leaves, strict=True)
    }


@pytest.mark.parametrize(
    ("bases", "pictures", "settings"),
    [
        (16, PICTURES, {}),
        (16, ("color",), {"sh_degree": 2}),
        (9, PICTURES, {"antialiased": True}),
        (4, PICTURES, {"absolute_gradients": True}),
        (None, ("color", "alpha"), {}),
        (1, ("depth", "normal"), {"near": 2.8}),
    ],
)
def test_equals_twin(bases, pictures, settings, cuda_kernels):
    tensors = scene(60, bases)
    expected_outputs, expected_gradients = run(
        reference.rasterize, tensors, torch.float64, "cpu", bases is None, pictures, **settings
    )
    with cuda_kernels() as device:
        outputs, gradients = run(
            rasterize, tensors, torch.float32, device, bases is None, pictures, **settings
        )
    for name, expected in expected_outputs.items():
        error = (outputs[name] - expected).abs()
        # An alpha at the cut-off may count in one and not in the other.
        assert (error > 1e-4 * (1 + expected.abs())).float().mean() < 2e-3, name
    for name, expected in expected_gradients.items():
        if expected is None or float(expected.norm()) == 0.0:
            assert gradients[name] is None or float(gradients[name].norm()) < 1e-6, name
            continue
        got = gradients[name]
        cosine = torch.nn.functional.cosine_similarity(got.flatten(), expected.flatten(), dim=0)
        assert float((got - expected).norm() / expected.norm()) < 1e-4, name
        assert float(cosine) > 1 - 1e-7, name


def test_too_little_room_drops_the_farthest(cuda_kernels):
    tensors = scene(60, 1)
    with cuda_kernels(pair_capacity=100000) as device:
        if device.type == "cuda":
            pytest.skip("the room for pairs is chosen by recon.ops.pair_capacity on a GPU")
        roomy, _ = run(rasterize, tensors, torch.float32, device, False, ("color",))
    with cuda_kernels(pair_capacity=40) as device:
        tight, _ = run(rasterize, tensors, torch.float32, device, False, ("color",))
    exact, _ = run(reference.rasterize, tensors, torch.float64, "cpu", False, ("color",))
    assert (roomy["color"] - exact["color"]).abs().max() < 1e-4
    kept, lost = tight["contribution"] > 0, (exact["contribution"] > 0) & (tight["contribution"] == 0)
    assert kept.any() and lost.any()
    depth = (tensors[0] @ tensors[5][:3, :3].T + tensors[5][:3, 3])[:, 2]
    assert depth[kept].max() <= depth[lost].min() + 1e-6


def test_no_gaussians_at_all(cuda_kernels):
    tensors = [tensor[:0] if tensor.shape[0] == 60 else tensor for tensor in scene(60, 4)]
    with cuda_kernels() as device:
        outputs, gradients = run(rasterize, tensors, torch.float32, device, False, ("color",))
    assert torch.equal(outputs["alpha"], torch.zeros(HEIGHT, WIDTH).double())
    assert torch.allclose(outputs["color"][3, 4].float(), tensors[8])
    assert float(gradients["world_to_camera"].norm()) == 0.0
    assert float(gradients["background"].norm()) > 0.0
