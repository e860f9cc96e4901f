"""The rate: the estimate of a frame's bits that training sees, and what it brings."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from moving_scene import PIXEL

from recon.queen.frame_model import FrameModel
from recon.queen.rate import code_length, rate
from recon.queen.settings import QueenSettings
from recon.queen.train_frame import train_frame
from recon.streaming import apply_residual, encode_residual
from recon.streaming.codecs import compress
from recon.streaming.integers import pack_integers, pack_mask
from recon.streaming.layout import SectionId

SHORT = QueenSettings(iterations=60, mask_block=8)


def numbers(rows: int, spread: float, seed: int = 0) -> torch.Tensor:
    """Return rows of three numbers of the discrete Laplace distribution, a third of them at zero."""
    random = np.random.default_rng(seed)
    share = 1 / (1 + spread)
    drawn = random.geometric(share, (rows, 3)) - random.geometric(share, (rows, 3))
    drawn[random.random(rows) < 1 / 3] = 0
    return torch.tensor(drawn, dtype=torch.float32)


@pytest.mark.parametrize("spread", [0.3, 2.0, 15.0])
def test_it_is_what_the_coder_spends(spread) -> None:
    drawn = numbers(8000, spread)
    whole = drawn.int().numpy()
    filled = whole.any(axis=1)
    layout, content = pack_integers(whole[filled])
    spent = len(compress(content, layout.columns * layout.width)[1]) + len(compress(pack_mask(filled), 1)[1])
    assert float(rate(drawn)) / 8 == pytest.approx(spent, rel=0.06)


def test_no_other_table_of_the_kind_is_cheaper() -> None:
    """Its closed form is the least over t of the bits under P(k) = (1 - t) / (1 + t) t^|k|."""
    rows, total = 999.0, 1499.0
    t = torch.linspace(0.01, 0.99, 981, dtype=torch.float64)
    bits = -(rows + 1) * torch.log2((1 - t) / (1 + t)) - (total + 1) * torch.log2(t)
    all_filled = [torch.tensor(x, dtype=torch.float64) for x in ([total], rows)]
    none = [torch.tensor(x, dtype=torch.float64) for x in ([], rows)]
    found = code_length(*all_filled, int(rows)) - code_length(*none, int(rows))
    assert float(found) == pytest.approx(float(bits.min()), rel=1e-5)
    assert float(found) <= float(bits.min())


def test_gradients_of_the_code_length() -> None:
    sums = torch.tensor([0.0, 0.5, 40.0, 3000.0], dtype=torch.float64, requires_grad=True)
    filled = torch.tensor(30.5, dtype=torch.float64, requires_grad=True)
    torch.autograd.gradcheck(lambda s, f: code_length(s + 0.01, f, 100), (sums, filled))


def test_gradients_of_the_rate() -> None:
    """Where rounding changes nothing, they are those of the bits themselves."""

    def smooth(values: torch.Tensor) -> torch.Tensor:
        return code_length(values.abs().sum(dim=0), values.abs().amax(dim=1).clamp(max=1).sum(), len(values))

    values = 2 * numbers(40, 3.0).double()
    values[values == 0] = -3
    values.requires_grad_(True)
    rate(values).backward()
    assert values.grad is not None
    found = values.grad.clone()
    for place in ((0, 0), (3, 1), (17, 2), (39, 0)):
        step = torch.zeros_like(values)
        step[place] = 1e-5
        with torch.no_grad():
            expected = (smooth(values + step) - smooth(values - step)) / 2e-5
        assert found[place].item() == pytest.approx(expected.item(), rel=1e-6)


def test_what_is_rounded_to_zero_costs_nothing() -> None:
    values = torch.tensor([[0.4, -0.3], [0.2, 1.2], [-0.1, 0.0], [3.0, -2.0]], requires_grad=True)
    whole = torch.tensor([[0.0, 0.0], [0.0, 1.0], [0.0, 0.0], [3.0, -2.0]])
    bits = rate(values)
    assert bits.item() == rate(whole).item() > rate(torch.zeros(4, 2)).item()
    bits.backward()
    assert values.grad is not None
    assert (values.grad.sign() == whole.sign()).all(), "what is zero feels no pull"
    assert values.grad[1, 1] > -values.grad[3, 1], "the last number of a row takes its row along"


def test_a_frame_weighs_about_what_training_believes(moving) -> None:
    settings = replace(SHORT, deviations=0.0)
    generator = torch.Generator().manual_seed(0)
    model = FrameModel(moving.state, torch.rand(len(moving.state)), settings, PIXEL, generator)
    with torch.no_grad():
        model.moves.normal_(0, 0.05)
        for part in model.attributes:
            part.latents.normal_(0, 2)
    record = encode_residual(model.residual(), moving.state, 1)
    spent = {id: len(section.stored) for id, section in record.sections.items()}
    print(spent, model.bits() / 8)
    coded = sum(size for id, size in spent.items() if id != SectionId.DECODERS)
    assert model.bits().item() / 8 == pytest.approx(coded, rel=0.25), "tables and coders' states come on top"


def test_bytes_that_cost_are_fewer(moving) -> None:
    found = []
    for cost in (0.0, 3e-3, 3e-2):
        settings = replace(SHORT, kilobyte_cost=cost)
        generator = torch.Generator().manual_seed(0)
        residual = train_frame(moving.state, moving.before, moving.now, settings, PIXEL, generator)
        size = len(encode_residual(residual, moving.state, 1).to_bytes())
        state = moving.state.copy()
        apply_residual(state, residual)
        found.append((size, moving.error(state)))
    assert found[0][0] > found[1][0] > found[2][0]
    assert max(error for _, error in found) < 1.2 * found[0][1]
