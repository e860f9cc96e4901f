"""Where Gaussians start."""

import numpy as np
import pytest
import torch

from recon.errors import ReconError
from recon.scene import Camera, SparsePoints, look_at
from recon.splats.gaussians import SH_C0
from recon.splats.initialize import gaussians_from_points, random_gaussians_in_frusta

CAMERAS = [
    Camera(
        look_at(np.array([x, 0.0, -4.0]), np.zeros(3), np.array([0.0, -1.0, 0.0])), 80, 70, 50, 30, 100, 60
    )
    for x in (-1.0, 0.0, 1.5)
]


def local_axes(quaternions: torch.Tensor) -> np.ndarray:
    from scipy.spatial.transform import Rotation

    return Rotation.from_quat(quaternions[:, [1, 2, 3, 0]].numpy()).as_matrix()


def test_footprints_give_the_size():
    positions, colors = torch.rand(5, 3), torch.rand(5, 3)
    radii = torch.tensor([0.1, 0.2, 0.3, 0.4, 0.5])
    gaussians = gaussians_from_points(positions, colors, radii, opacity=0.3, sh_degree=2)
    torch.testing.assert_close(gaussians.scales, 1.2 * radii[:, None].repeat(1, 3))
    torch.testing.assert_close(gaussians.opacities, torch.full((5,), 0.3))
    torch.testing.assert_close(0.5 + SH_C0 * gaussians.sh[:, 0], colors)
    assert gaussians.sh.shape == (5, 9, 3) and not gaussians.sh[:, 1:].any()
    assert torch.equal(gaussians.means, positions) and gaussians.means is not positions


def test_neighbours_give_the_size_where_there_are_no_footprints():
    """On a line with gaps 1, 2, 4, 8 the three nearest are known."""
    positions = np.array([[0.0, 0, 0], [1, 0, 0], [3, 0, 0], [7, 0, 0], [15, 0, 0]])
    gaussians = gaussians_from_points(positions, np.full((5, 3), 128, np.uint8))
    expected = torch.tensor(
        [(1 + 3 + 7) / 3, (1 + 2 + 6) / 3, (2 + 3 + 4) / 3, (4 + 6 + 7) / 3, (8 + 12 + 14) / 3]
    )
    torch.testing.assert_close(gaussians.scales, expected[:, None].repeat(1, 3))
    torch.testing.assert_close(0.5 + SH_C0 * gaussians.sh[:, 0], torch.full((5, 3), 128 / 255))


def test_coinciding_points_keep_a_size():
    positions = torch.cat([torch.zeros(4, 3), torch.rand(20, 3) + 1])
    scales = gaussians_from_points(positions, torch.rand(24, 3)).scales
    assert (scales > 1e-5).all() and torch.isfinite(scales).all()


def test_two_points_are_enough():
    gaussians = gaussians_from_points(torch.tensor([[0.0, 0, 0], [0, 3, 4]]), torch.rand(2, 3))
    torch.testing.assert_close(gaussians.scales, torch.full((2, 3), 5.0))


def test_normals_flatten():
    generator = torch.Generator().manual_seed(0)
    normals = torch.randn(50, 3, generator=generator)
    normals[0] = torch.tensor([0, 0, -2.0])
    normals[1] = 0
    normals[2] = float("nan")
    gaussians = gaussians_from_points(torch.rand(50, 3), torch.rand(50, 3), torch.ones(50), normals)
    isotropic = gaussians.scales[:, 2] == gaussians.scales[:, 0]
    assert isotropic.nonzero().flatten().tolist() == [1, 2]
    axes = local_axes(gaussians.quaternions)[:, :, 2]
    unit = torch.nn.functional.normalize(normals, dim=1).numpy()
    cosines = np.abs((axes * unit).sum(axis=1))[~isotropic.numpy()]
    np.testing.assert_allclose(cosines, 1, atol=1e-5)
    torch.testing.assert_close(gaussians.scales[3], torch.tensor([1.2, 1.2, 0.12]))


def test_sparse_points_fit():
    points = SparsePoints(np.random.default_rng(0).random((9, 3)), np.zeros((9, 3), np.uint8))
    assert len(gaussians_from_points(points.positions, points.colors)) == 9


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((torch.zeros(0, 3), torch.zeros(0, 3)), "there are no points"),
        ((torch.zeros(1, 3), torch.zeros(1, 3)), "a single point to start from needs a radius"),
        ((torch.ones(6, 3), torch.zeros(6, 3)), "all lie at the same place"),
        ((torch.full((3, 3), float("nan")), torch.zeros(3, 3)), "NaN or infinite positions"),
        ((torch.rand(2, 3), torch.rand(2, 3), torch.tensor([1.0, 0.0])), "finite radii above zero"),
    ],
)
def test_points_that_cannot_be_used_get_a_sentence(arguments, words):
    with pytest.raises(ReconError, match=words):
        gaussians_from_points(*arguments)


def test_shapes_are_checked():
    with pytest.raises(ValueError, match=r"colors: expected shape \(2, 3\), got \(3, 3\)"):
        gaussians_from_points(torch.rand(2, 3), torch.rand(3, 3))
    with pytest.raises(ValueError, match=r"positions: expected shape \(N, 3\), got \(2, 2\)"):
        gaussians_from_points(torch.rand(2, 2), torch.rand(2, 3))


def visible(camera: Camera, points: np.ndarray) -> np.ndarray:
    pixels, depths = camera.project(points.astype(np.float64))
    return ((pixels > -0.01) & (pixels < [100.01, 60.01])).all(axis=1) & (depths > 1.999)


@pytest.mark.parametrize("seen_by", [1, 2, 3])
def test_random_gaussians_lie_in_the_frusta(seen_by):
    gaussians = random_gaussians_in_frusta(CAMERAS, 2000, 2, 9, seed=1, seen_by=seen_by)
    counts = sum(visible(camera, gaussians.means.numpy()).astype(int) for camera in CAMERAS)
    assert len(gaussians) == 2000 and (counts >= seen_by).all()
    assert (counts == seen_by).any()


def test_inverse_depth_is_uniform():
    gaussians = random_gaussians_in_frusta(CAMERAS[:1], 20000, 2, 10, seed=0)
    _, depths = CAMERAS[0].project(gaussians.means.double().numpy())
    share = (1 / depths - 1 / 10) / (1 / 2 - 1 / 10)
    histogram, _ = np.histogram(share, bins=10, range=(0, 1))
    assert histogram.sum() == 20000
    assert np.abs(histogram / 2000 - 1).max() < 0.1  # 4.5 standard deviations


def test_seeds_decide():
    a, b, c = (random_gaussians_in_frusta(CAMERAS, 100, 1, 5, seed=seed, seen_by=2) for seed in (3, 3, 4))
    for name, tensor in a.tensors().items():
        assert torch.equal(tensor, b.tensors()[name])
    assert not torch.equal(a.means, c.means)


def test_hopeless_frusta_get_a_sentence():
    away = Camera(
        look_at(np.array([0.0, 0, -4]), np.array([0.0, 0, -9]), np.array([0.0, -1, 0])),
        80,
        70,
        50,
        30,
        100,
        60,
    )
    with pytest.raises(
        ReconError, match="hardly anything between depths 1 and 5 is seen by 2 of the 2 cameras"
    ):
        random_gaussians_in_frusta([CAMERAS[1], away], 10, 1, 5, seed=0, seen_by=2)
    with pytest.raises(ReconError, match="seen by 3 cameras, but there are 2"):
        random_gaussians_in_frusta([away] * 2, 10, 1, 5, seed=0, seen_by=3)
    with pytest.raises(ReconError, match="0 < near < far, got near=5, far=1"):
        random_gaussians_in_frusta(CAMERAS, 10, 5, 1, seed=0)
