"""What a residual frame is made of: latents, gates, gradient difference, masks, anchors."""

import math

import numpy as np
import pytest
import torch

from recon.queen.anchors import anchor_cells
from recon.queen.dynamic_pixels import dynamic_pixels, masked_view
from recon.queen.gates import HardConcreteGates
from recon.queen.gradient_difference import dynamic, gradient_difference
from recon.queen.latents import PlainResidual, QuantisedLatents, rounded
from recon.queen.settings import AttributeLatents, GateSettings
from recon.streaming import Latents, Residual, apply_residual
from recon.streaming.layout import attribute


def test_rounding_passes_the_gradient() -> None:
    values = torch.tensor([0.4, 0.6, -1.7], requires_grad=True)
    (rounded(values) * torch.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert rounded(values).tolist() == [0, 1, -2]
    assert values.grad is not None and values.grad.tolist() == [1, 2, 3]


@pytest.mark.parametrize("name", ["log_scales", "quaternions", "opacity_logits", "sh_base", "sh_rest"])
def test_training_sees_what_players_decode(moving, name) -> None:
    """Latents through the real decoder, on the grid, are what the stream's own arithmetic gives."""
    state = moving.state
    generator = torch.Generator().manual_seed(1)
    settings = getattr(AttributeLatents(), name)
    part = QuantisedLatents(name, len(state), state, settings, generator, torch.device("cpu"))
    with torch.no_grad():
        part.latents.copy_(3 * torch.randn(part.latents.shape, generator=generator))
        part.decoder.copy_(0.05 * torch.randn(part.decoder.shape, generator=generator))
    gates = (torch.rand(len(state), 1, generator=generator) > 0.3).float()
    expected = part.residual(gates).detach().numpy()

    of = attribute(name)
    before = state.values(of).copy()
    residual = Residual(decoders={of.index: part.stored_decoder(state)})
    residual.latents[of.index] = Latents.of(part.codes(gates))
    apply_residual(state, residual)
    difference = state.values(of) - before - expected
    assert np.abs(difference).max() <= 1.01 * state.step(of), (
        "at most one step, where a decoder's entry is rounded"
    )
    assert np.abs(difference).mean() < 0.1 * state.step(of)
    assert (difference[gates[:, 0].numpy() == 0] == 0).all()


def test_a_decoder_is_taken_over_from_the_frame_before(moving) -> None:
    state, generator = moving.state, torch.Generator().manual_seed(1)
    settings = AttributeLatents().log_scales
    first = QuantisedLatents("log_scales", 5, state, settings, generator, torch.device("cpu"))
    state.decoders[1] = first.stored_decoder(state)
    second = QuantisedLatents("log_scales", 9, state, settings, generator, torch.device("cpu"))
    assert torch.allclose(first.decoder, second.decoder, atol=1e-6)


def test_a_plain_residual_is_exact_to_half_a_step(moving) -> None:
    state = moving.state
    part = PlainResidual("sh_base", len(state), state, 1e-3, torch.device("cpu"))
    with torch.no_grad():
        part.values.uniform_(-0.3, 0.3)
    of = attribute("sh_base")
    before = state.values(of).copy()
    residual = Residual(decoders={of.index: part.stored_decoder(state)})
    residual.latents[of.index] = Latents.of(part.codes(None))
    apply_residual(state, residual)
    error = np.abs(state.values(of) - before - part.values.detach().numpy())
    assert error.max() <= 0.51 * state.step(of)


def test_gates_start_as_open_as_the_difference_says() -> None:
    difference = torch.tensor([0.0, 1.0, 2.0, 3.0, 100.0])
    settings = GateSettings(penalty=1.0)
    gates = HardConcreteGates(difference, None, settings)
    shift = settings.temperature * math.log(-settings.lowest / settings.highest)
    found = torch.sigmoid(gates.log_alpha - shift)
    wanted = (difference / (difference + 2.0)).clamp(min=found[0].item())  # the logarithm is limited
    assert found[0] < 0.002
    assert torch.allclose(found, wanted, atol=1e-3)
    assert gates.penalty().item() == pytest.approx(wanted.mean().item(), abs=1e-3)
    values = gates.values()[:, 0]
    assert values[0] == 0 and values[-1] == 1 and (values.diff() >= 0).all()


def test_gates_reach_both_ends_and_move_between_them() -> None:
    gates = HardConcreteGates(torch.ones(3), None, GateSettings(start="open"))
    with torch.no_grad():
        gates.log_alpha.copy_(torch.tensor([-5.0, 0.0, 5.0]))
    values = gates.values()
    assert values[0] == 0 and values[2] == 1 and 0 < values[1] < 1
    values.sum().backward()
    assert gates.log_alpha.grad is not None and gates.log_alpha.grad[1] > 0


def test_gates_of_a_group_are_one_and_as_open_as_its_liveliest() -> None:
    difference = torch.tensor([1.0, 50.0, 1.0, 1.0])
    group = torch.tensor([0, 0, 1, 2])
    gates = HardConcreteGates(difference, group, GateSettings())
    values = gates.values()[:, 0]
    assert len(gates.log_alpha) == 3
    assert values[0] == values[1] == 1 and values[2] < 1


def test_the_gradient_difference_finds_what_moves(moving) -> None:
    difference = gradient_difference(moving.state.gaussians(), moving.before.views, moving.now.views)
    chosen = dynamic(difference, 6.0).numpy()
    ball = np.zeros(len(chosen), bool)
    ball[moving.ball] = True
    assert chosen[ball].mean() > 0.8
    assert difference.numpy()[ball].mean() > 5 * difference.numpy()[~ball].mean()


def test_it_is_the_difference_of_two_gradients(moving) -> None:
    gaussians = moving.state.gaussians()
    view, before = moving.now.views[:1], moving.before.views[:1]
    dark = [
        type(one)(one.name, torch.zeros_like(one.image), one.world_to_camera, one.intrinsics) for one in view
    ]
    assert float(gradient_difference(gaussians, view, view).max()) == 0, "nothing has changed"
    forward = gradient_difference(gaussians, before, dark)
    assert torch.allclose(forward, gradient_difference(gaussians, dark, before))


def test_still_noise_moves_nobody() -> None:
    difference = torch.rand(1000, generator=torch.Generator().manual_seed(0))
    assert not dynamic(difference, 15.0).any()
    assert not dynamic(torch.zeros(10), 3.0).any()


def test_masks_hold_what_moves_in_whole_blocks(moving) -> None:
    view = moving.now.views[2]
    mask = dynamic_pixels(moving.state.gaussians()[torch.as_tensor(moving.ball)], view, 8)
    assert mask.shape == (48, 48) and 0 < mask.float().mean() < 0.6
    assert (mask.reshape(6, 8, 6, 8).float().mean(dim=(1, 3)) % 1 == 0).all()
    changed = (view.image - moving.before.views[2].image).abs().max(-1).values > 0.2
    assert mask[changed].float().mean() > 0.8


def test_a_masked_view_is_the_same_picture_cut_out(moving) -> None:
    from recon.queen.train_frame import rasterized

    view, gaussians = moving.now.views[1], moving.state.gaussians()
    mask = torch.zeros(48, 48, dtype=torch.bool)
    mask[10:30, 5:20] = True
    mask[12, 7] = False
    part = masked_view(view, mask)
    assert part is not None and (part.height, part.width) == (20, 15)
    whole, cut = rasterized(gaussians, view, None).color, rasterized(gaussians, part, None).color
    assert torch.allclose(whole[10:30, 5:20], cut, atol=1e-5)
    assert part.weight is not None and part.weight[2, 2] == 0 and part.weight.sum() == 299
    assert masked_view(view, torch.zeros(48, 48, dtype=torch.bool)) is None


def test_anchors_are_cells() -> None:
    means = np.array([[0.0, 0, 0], [0.9, 0.9, 0.9], [1.1, 0, 0], [0.2, 0, 0], [-3.0, 5.0, 2.0]])
    anchors = anchor_cells(means - means.min(axis=0), 1.0)
    assert anchors.dtype == np.int32 and sorted(set(anchors)) == list(range(anchors.max() + 1))
    assert anchors[0] == anchors[1] == anchors[3] and len({anchors[0], anchors[2], anchors[4]}) == 3
