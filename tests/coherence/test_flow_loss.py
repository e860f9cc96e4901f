"""The 3-D flow loss is zero where matched pixels are one point, and its gradient is right."""

import torch

from recon.coherence import FlowLoss, PointFlows, pixel_grids
from recon.priors import StereoFlow
from recon.synth.raycast import raycast_scene


def loss(grids, flows, reference, unit=1.0, depths=None):
    depths = [grid.depth for grid in grids] if depths is None else depths
    return FlowLoss(grids, flows, unit)(depths, reference)


def test_the_loss_is_the_distance_of_matched_points(grids, flows):
    """Against the definition: points of one photo minus points of another, interpolated at the matches."""
    points = [grid.points(grid.depth * (1 + 0.1 * i)).flatten(0, 1) for i, grid in enumerate(grids)]
    apart = [
        (points[i][m.cells] - (points[j][m.corners] * m.weights[..., None]).sum(1)).abs().flatten()
        for (i, j), m in flows.pairs.items()
        if i == 1
    ]
    assert len(apart) == 2
    found = loss(grids, flows, 1, 2.0, [grid.depth * (1 + 0.1 * i) for i, grid in enumerate(grids)])
    torch.testing.assert_close(found, torch.cat(apart).mean() / 2)


def test_the_loss_is_small_at_the_truth_and_grows_with_the_error(grids, flows):
    """Not zero: a match falls between pixels, and depth is interpolated there."""
    for reference in range(3):
        truth = loss(grids, flows, reference)
        assert truth < 0.01
        last = truth
        for stretch in (1.02, 1.05, 1.1):
            depths = [g.depth * (stretch if i == reference else 1) for i, g in enumerate(grids)]
            error = loss(grids, flows, reference, depths=depths)
            assert error > last
            last = error
        assert last > 10 * truth


def test_the_loss_is_zero_on_a_plane(truth_as_stereo):
    """Inverse depth of a fronto-parallel plane is the same everywhere, so interpolation is exact."""

    wall = raycast_scene("wall", views=2, size=(48, 36))
    views = wall.scene.train_views
    grids = pixel_grids(views, [wall.depths[view.name] for view in views], 1, 5)
    flows = PointFlows(StereoFlow()(views, truth_as_stereo(wall)), grids, [(36, 48)] * 2)
    assert len(flows) > 1000
    assert loss(grids, flows, 0) < 1e-3


def test_the_unit_scales_the_loss_and_a_photo_without_matches_has_none(grids, flows):
    one, ten = (loss(grids, flows, 0, unit) for unit in (1.0, 10.0))
    torch.testing.assert_close(one, 10 * ten)
    flows.pairs = {pair: matches for pair, matches in flows.pairs.items() if pair[0] != 0}
    assert loss(grids, flows, 0) is None


def test_the_gradient_is_that_of_finite_differences(grids, flows):
    pick = torch.Generator().manual_seed(0)
    depths = [
        (grid.depth.double() * (1 + 0.05 * torch.rand(grid.size, generator=pick).double())).requires_grad_(
            True
        )
        for grid in grids
    ]

    error = FlowLoss(grids, flows, 1.0, torch.float64)
    gradients = torch.autograd.grad(error(depths, 1), depths)
    for view, gradient in enumerate(gradients):
        for place in torch.randint(gradient.numel(), (12,), generator=pick).tolist():
            step = torch.zeros_like(gradient).view(-1)
            step[place] = 1e-6
            step = step.view_as(gradient)
            above, below = (
                error([d.detach() + (sign * step if i == view else 0) for i, d in enumerate(depths)], 1)
                for sign in (1, -1)
            )
            torch.testing.assert_close((above - below) / 2e-6, gradient.view(-1)[place], rtol=1e-4, atol=1e-9)


def test_coarser_cells_see_the_same_matches(room, flows, truth_as_stereo):

    views = room.scene.train_views
    coarse = pixel_grids(views, [room.depths[view.name] for view in views], 2, 5)
    matches = PointFlows(StereoFlow()(views, truth_as_stereo(room)), coarse, [(48, 64)] * 3)
    assert 0.2 * len(flows) < len(matches) < 0.3 * len(flows)
    assert loss(coarse, matches, 0) < 0.05
