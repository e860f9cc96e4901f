"""One residual frame: the moving part follows, all else stays to the bit, and bytes are few."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from moving_scene import PIXEL

from recon.queen.births import GrowthStatistics, NewGaussians
from recon.queen.frame_model import FrameModel, position_quantum
from recon.queen.settings import BirthSettings, GateSettings, QueenSettings
from recon.queen.train_frame import Moment, train_frame
from recon.streaming import apply_residual
from recon.streaming.layout import ATTRIBUTES
from recon.streaming.residual import encode_residual

SHORT = QueenSettings(iterations=60, mask_block=8)


def trained(moving, settings: QueenSettings, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    return train_frame(moving.state, moving.before, moving.now, settings, PIXEL, generator)


def test_the_ball_moves_and_the_sheet_stays_to_the_bit(moving) -> None:
    before = moving.state.copy()
    error = moving.error(before)
    residual = trained(moving, SHORT)
    state = before.copy()
    apply_residual(state, residual)
    assert moving.error(state) < 0.4 * error
    moved = (state.arrays["means"] - before.arrays["means"])[moving.ball].mean(axis=0)
    assert moved[0] == pytest.approx(0.12, abs=0.05), "the ball went 0.12 to the right"
    same = np.ones(len(state), bool)
    for name, array in state.arrays.items():
        same &= (array.view(np.uint32) == before.arrays[name].view(np.uint32)).all(axis=1)
    sheet = np.setdiff1d(np.arange(len(state)), moving.ball)
    assert same[sheet].mean() > 0.5 and not same[moving.ball].all()


def test_training_starts_from_the_state_and_ends_in_what_is_written(moving) -> None:
    """What the model renders at its end is what a player decodes, to half a grid step per attribute."""
    difference = torch.rand(len(moving.state))
    model = FrameModel(
        moving.state, difference, replace(SHORT, deviations=0.0), PIXEL, torch.Generator().manual_seed(0)
    )
    start = model.gaussians()
    for name, tensor in moving.state.gaussians().tensors().items():
        assert torch.equal(start.tensors()[name], tensor), name
    with torch.no_grad():
        model.moves.normal_(0, 0.05)
        model.anchor_moves.normal_(0, 0.05)
        for part in model.attributes:
            part.latents.normal_(0, 2)
    expected = model.gaussians().detach()
    state = moving.state.copy()
    apply_residual(state, model.residual())
    got = state.gaussians()
    assert torch.equal(got.means, expected.means), "moves are whole steps"
    assert torch.allclose(got.log_scales, expected.log_scales, atol=0.002)
    assert torch.allclose(got.sh, expected.sh, atol=0.004)
    assert torch.allclose(got.opacity_logits, expected.opacity_logits, atol=0.01)


@pytest.mark.parametrize(
    "settings",
    [
        replace(SHORT, anchors=False, deviations=0.0, gates=GateSettings(scope="positions", shared="splat")),
        replace(SHORT, quantised=False),
        replace(SHORT, gates=GateSettings(enabled=False)),
        replace(SHORT, masked_share=0.0, gates=GateSettings(start="open")),
    ],
    ids=["published", "plain", "ungated", "unmasked"],
)
def test_every_path_gives_a_frame_that_follows(moving, settings) -> None:
    error = moving.error(moving.state)
    apply_residual(moving.state, trained(moving, settings))
    assert moving.error(moving.state) < 0.6 * error


def test_structure_saves_bytes(moving) -> None:
    published = replace(
        SHORT, anchors=False, deviations=0.0, gates=GateSettings(scope="positions", shared="splat")
    )
    sizes = [
        len(encode_residual(trained(moving, one), moving.state, 1).to_bytes()) for one in (SHORT, published)
    ]
    assert sizes[0] < sizes[1]


def test_a_still_frame_is_empty(moving) -> None:
    still = Moment(moving.before.views)
    generator = torch.Generator().manual_seed(0)
    residual = train_frame(moving.state, still, still, SHORT, PIXEL, generator)
    assert not residual.latents and len(residual.gated) == 0 and residual.births is None
    assert len(encode_residual(residual, moving.state, 1).to_bytes()) < 100


def test_the_same_seed_gives_the_same_frame(moving) -> None:
    first, second = (encode_residual(trained(moving, SHORT), moving.state, 1).to_bytes() for _ in range(2))
    assert first == second


def test_steps_of_positions_are_whole_grid_steps(moving) -> None:
    step = moving.state.step(ATTRIBUTES[0])
    assert position_quantum(moving.state, 0.0) == step
    assert position_quantum(moving.state, 8.3 * step) == 8 * step
    residual = trained(moving, SHORT)
    quantum = round(position_quantum(moving.state, SHORT.position_step * PIXEL) / step)
    assert len(residual.gated) and (residual.positions % quantum == 0).all()


def test_what_appears_is_born_and_what_fades_leaves(moving) -> None:
    settings = BirthSettings(most=10, gradient=0.0)
    statistics = GrowthStatistics(len(moving.state), torch.device("cpu"))
    picture = type("Picture", (), {"radii": torch.ones(len(moving.state))})
    gradients = torch.rand(len(moving.state), 2)
    statistics.add(gradients, picture, moving.now.views[0])
    parents = statistics.strongest(settings)
    assert len(parents) == 10 and set(parents.tolist()) == set(
        gradients.norm(dim=1).topk(10).indices.tolist()
    )

    drawn = moving.state.gaussians()
    new = NewGaussians(drawn, parents, settings, PIXEL, torch.Generator().manual_seed(0))
    assert new.gaussians.opacities.mean().item() == pytest.approx(0.1, abs=1e-4)
    with torch.no_grad():
        new.gaussians.opacity_logits[:4] = -8.0
    births = new.births(moving.state)
    assert births is not None and len(births) == 6, "the transparent ones are not kept"
    assert births.parents is not None and births.parents.tolist() == parents[4:].tolist()

    model = FrameModel(
        moving.state,
        torch.rand(len(drawn)),
        replace(SHORT, deviations=0.0),
        PIXEL,
        torch.Generator().manual_seed(0),
    )
    model.new = new
    assert len(model.gaussians()) == len(drawn) + 10
    model.base.opacity_logits[3] = -9.0
    residual = model.residual()
    assert residual.removed.tolist() == [3]
    state = moving.state.copy()
    apply_residual(state, residual)
    assert len(state) == len(drawn) + 5 and state.anchors is not None and len(state.anchors) == len(state)
