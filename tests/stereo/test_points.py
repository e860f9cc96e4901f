"""Points from depth maps, and from matches."""

import numpy as np
import pytest

from recon.errors import ReconError
from recon.stereo import DepthMap, fuse_points, triangulate_matches


@pytest.fixture(scope="module")
def true_depths(room):
    maps = []
    for view in room.scene.train_views:
        depth = room.depths[view.name]
        normal = np.broadcast_to(np.float32([0, 0, -1]), (*depth.shape, 3)).copy()
        maps.append(DepthMap(depth, np.full_like(depth, 0.8), normal, np.zeros(depth.shape, bool)))
    return maps


def test_points_project_to_their_pixels(room, true_depths):
    views = room.scene.train_views
    cloud = fuse_points(views, true_depths)
    assert len(cloud) == sum(int((result.depth > 0).sum()) for result in true_depths)
    for index, view in enumerate(views):
        own = cloud[cloud.views == index]
        pixels, z = view.camera.project(own.positions.astype(np.float64))
        column, row = np.floor(pixels).astype(int).T
        np.testing.assert_allclose(z, true_depths[index].depth[row, column], rtol=1e-4)
        np.testing.assert_array_equal(own.colors, view.image[row, column])
        np.testing.assert_allclose(own.radii, z / view.camera.fx, rtol=1e-4)
        np.testing.assert_allclose(
            own.normals, np.broadcast_to(-view.camera.forward, (len(own), 3)), atol=1e-5
        )
    assert cloud.positions.dtype == cloud.colors.dtype == cloud.radii.dtype == np.float32


def test_confidence_and_stride_thin_the_cloud(room, true_depths):
    views = room.scene.train_views
    assert len(fuse_points(views, true_depths, min_confidence=0.9)) == 0
    whole, thin = fuse_points(views, true_depths), fuse_points(views, true_depths, stride=3)
    assert abs(len(thin) * 9 / len(whole) - 1) < 0.1
    assert thin.radii.mean() == pytest.approx(3 * whole.radii.mean(), rel=0.05)


def test_merging_leaves_out_what_earlier_photos_show(room, true_depths):
    views = room.scene.train_views
    whole, merged = fuse_points(views, true_depths), fuse_points(views, true_depths, merge=True)
    assert (merged.views == 0).sum() == (whole.views == 0).sum()
    assert 0.3 * len(whole) < len(merged) < 0.8 * len(whole)


def test_wrong_counts_and_sizes_are_refused(room, true_depths):
    views = room.scene.train_views
    with pytest.raises(ReconError, match="3 views but 2 depth maps"):
        fuse_points(views, true_depths[:2])
    small = DepthMap(*(np.zeros((5, 5, *tail)) for tail in ((), (), (3,), ())))
    with pytest.raises(ReconError, match="its photo"):
        fuse_points(views, [small, *true_depths[1:]])


def test_matches_lie_on_the_surface(room):
    views = room.scene.train_views
    matches = triangulate_matches(views)
    assert len(matches) > 40
    for index, view in enumerate(views):
        points = matches.seen_by(index)
        pixels, z = view.camera.project(points)
        column, row = np.floor(pixels).astype(int).T
        truth = room.depths[view.name]
        truth = truth[row.clip(0, truth.shape[0] - 1), column.clip(0, truth.shape[1] - 1)]
        assert (np.abs(z - truth) < 0.03 * truth).mean() > 0.85
    assert matches.colors.min() >= 0 and matches.colors.max() <= 1
