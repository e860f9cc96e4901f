"""The decoder: shapes of every size, determinism, a start at zero, coherence, and its schedule of steps."""

from itertools import pairwise

import pytest
import torch

from recon.coherence.decoder import DecoderSettings, ImplicitDecoder, halved_sizes, view_codes


@pytest.mark.parametrize("size", [(8, 8), (48, 64), (47, 63), (189, 252), (378, 504), (5, 40)])
def test_the_sizes_double_up_to_the_full_one(size):
    sizes = halved_sizes(size)
    assert sizes[-1] == size and min(sizes[0]) in (2, 3)
    for small, large in pairwise(sizes):
        assert all(b - 2 * a in (0, 1) for a, b in zip(small, large, strict=True))


@pytest.mark.parametrize("size", [(8, 8), (47, 63), (5, 40)])
def test_the_output_has_the_asked_shape_and_starts_at_zero(size, generator):
    maps = ImplicitDecoder(size, 2, 5, generator)(view_codes(3))
    assert maps.shape == (3, 5, *size)
    assert (maps == 0).all()


def test_equal_seeds_give_equal_networks():
    nets = [ImplicitDecoder((12, 16), 2, 5, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    first, same, other = (net.first.weight for net in nets)
    assert torch.equal(first, same) and not torch.equal(first, other)


def test_views_have_codes_of_their_own():
    codes = view_codes(3)
    assert codes.shape == (3, 20)
    assert torch.cdist(codes, codes)[~torch.eye(3, dtype=torch.bool)].min() > 0.1


def test_neighbours_move_together(generator):
    """Fitted to noise, the network gives a smooth map; free values would give the noise back."""
    net = ImplicitDecoder((48, 64), 2, 1, generator)
    target = torch.randn(1, 1, 48, 64, generator=generator)
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(25):
        optimizer.zero_grad()
        (net(view_codes(1)) - target).square().mean().backward()
        optimizer.step()
    out = net(view_codes(1)).detach()[0, 0]

    def roughness(values):
        return torch.diff(values, dim=1).square().mean() / values.var()

    assert out.std() > 0.01
    assert roughness(out) < 0.3 * roughness(target[0, 0])


def test_the_step_size_rises_and_falls_in_triangles_of_half_the_height():
    settings = DecoderSettings(rate=1e-3, base_rate=0.0, rise=0.1)
    assert settings.learning_rate(0.0) == 0.0
    assert settings.learning_rate(0.1) == pytest.approx(1e-3)
    assert settings.learning_rate(0.05) == pytest.approx(5e-4)
    assert settings.learning_rate(0.2) == pytest.approx(0.0, abs=1e-12)
    assert settings.learning_rate(0.3) == pytest.approx(5e-4)
    assert settings.learning_rate(0.5) == pytest.approx(2.5e-4)
