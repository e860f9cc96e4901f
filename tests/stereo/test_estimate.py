"""Depth from posed photos on ray-cast scenes with exact depth."""

import dataclasses

import numpy as np
import pytest

from recon import _core
from recon.errors import ReconError
from recon.scene import Pixels, View
from recon.stereo import StereoSettings, estimate_depth
from recon.stereo.depth_range import depth_ranges
from recon.stereo.matches import TriangulatedMatches
from recon.synth.raycast import raycast_scene
from tests.stereo.stereo_cases import camera_at, with_pixels


def relative_error(found, truth):
    return np.abs(found - truth) / np.maximum(truth, 1e-9)


def visible_elsewhere(room, index):
    """Pixels of an input whose surface another input sees as well, away from depth edges."""
    views = room.scene.train_views
    truth = room.depths[views[index].name]
    camera = views[index].camera
    points = camera.unproject(camera.pixel_centers().reshape(-1, 2), truth.reshape(-1))
    seen = np.zeros(truth.size, dtype=bool)
    for other in views:
        if other is views[index]:
            continue
        pixels, z = other.camera.project(points)
        column, row = np.floor(pixels).astype(int).T
        inside = (z > 0) & (column >= 3) & (row >= 3) & (column < other.camera.width - 3)
        inside &= row < other.camera.height - 3
        surface = room.depths[other.name][
            row.clip(0, other.camera.height - 1), column.clip(0, other.camera.width - 1)
        ]
        seen |= inside & (np.abs(surface - z) < 0.02 * z)
    steps = np.zeros(truth.shape, dtype=bool)
    for axis in (0, 1):
        edge = np.abs(np.diff(truth, axis=axis)) > 0.03 * np.minimum(
            np.delete(truth, 0, axis=axis), np.delete(truth, -1, axis=axis)
        )
        index_first = [slice(None)] * 2
        index_last = [slice(None)] * 2
        index_first[axis], index_last[axis] = slice(0, -1), slice(1, None)
        steps[tuple(index_first)] |= edge
        steps[tuple(index_last)] |= edge
    from scipy.ndimage import binary_dilation

    return seen.reshape(truth.shape) & ~binary_dilation(steps, iterations=3)


def test_textured_surfaces_are_within_one_percent(room, room_depths):
    shares = []
    for index, (view, result) in enumerate(zip(room.scene.train_views, room_depths, strict=True)):
        where = visible_elsewhere(room, index)
        good = (result.depth > 0) & (relative_error(result.depth, room.depths[view.name]) < 0.01)
        shares.append(good[where].mean())
    assert np.mean(shares) > 0.9, shares


def test_kept_depth_is_right_and_confidence_orders_it(room, room_depths):
    error = np.concatenate(
        [
            relative_error(result.depth, room.depths[view.name])[result.depth > 0]
            for view, result in zip(room.scene.train_views, room_depths, strict=True)
        ]
    )
    confidence = np.concatenate([result.confidence[result.depth > 0] for result in room_depths])
    assert (error < 0.02).mean() > 0.93
    high, low = error[confidence > 0.7], error[confidence < 0.3]
    assert (high < 0.02).mean() > 0.98
    if len(low) > 100:
        assert (low < 0.02).mean() < (high < 0.02).mean()


def test_result_is_well_formed(room, room_depths):
    for view, result in zip(room.scene.train_views, room_depths, strict=True):
        shape = (view.camera.height, view.camera.width)
        assert result.depth.shape == result.confidence.shape == result.filled.shape == shape
        assert result.depth.dtype == result.confidence.dtype == result.normal.dtype == np.float32
        assert result.normal.shape == (*shape, 3)
        assert np.isfinite(result.depth).all() and (result.depth >= 0).all()
        assert (result.confidence >= 0).all() and (result.confidence <= 1).all()
        unknown = result.depth == 0
        assert (result.confidence[unknown] == 0).all() and not result.filled[unknown].any()
        length = np.linalg.norm(result.normal, axis=-1)
        np.testing.assert_allclose(length[~unknown], 1, atol=1e-5)
        assert (length[unknown] == 0).all()


def test_normals_face_the_camera_and_follow_the_surface():
    wall = raycast_scene("wall", views=2, size=(128, 96))
    results = estimate_depth(wall.scene.train_views)
    for view, result in zip(wall.scene.train_views, results, strict=True):
        known = result.depth > 0
        rays = (
            view.camera.unproject(view.camera.pixel_centers()[known], result.depth[known])
            - view.camera.center
        )
        rays = rays @ view.camera.world_to_camera[:3, :3].T
        assert ((result.normal[known] * rays).sum(axis=1) < 0).all()
        # On one plane, all normals are one.
        mean = np.median(result.normal[known], axis=0)
        angle = np.degrees(np.arccos((result.normal[known] @ (mean / np.linalg.norm(mean))).clip(-1, 1)))
        assert np.median(angle) < 12


def test_two_views_are_enough(room):
    views = room.scene.train_views[:2]
    results = estimate_depth(views)
    for view, result in zip(views, results, strict=True):
        known = result.depth > 0
        assert known.mean() > 0.35
        assert (relative_error(result.depth, room.depths[view.name])[known] < 0.02).mean() > 0.85


def test_flat_untextured_wall_is_not_trusted():
    cameras = [camera_at([x, -4.0, 1.0], [0, 0, 1.0]) for x in (-0.4, 0.0, 0.4)]
    grey = np.full((72, 96, 3), 0.5, np.float32)
    views = [View(f"{i}.png", camera, lambda: Pixels(grey)) for i, camera in enumerate(cameras)]
    for result in estimate_depth(views, bounds=(2.0, 8.0)):
        assert result.confidence.max() < 0.1


def test_black_margins_get_no_depth_and_spoil_nothing(room):
    views = []
    for view in room.scene.train_views:
        image, valid = view.image.copy(), np.ones(view.image.shape[:2], dtype=bool)
        valid[:, :14] = valid[-11:] = False
        image[~valid] = 0
        views.append(with_pixels(view, Pixels(image, None, valid)))
    for view, result in zip(views, estimate_depth(views), strict=True):
        assert (result.depth[~view.valid] == 0).all()
        known = result.depth > 0
        assert known[view.valid].mean() > 0.5
        assert (relative_error(result.depth, room.depths[view.name])[known] < 0.02).mean() > 0.9


def test_cutouts_have_depth_on_the_object_only(object_scene):
    views = [
        with_pixels(view, dataclasses.replace(view.pixels, background=(1.0, 1.0, 1.0)))
        for view in object_scene.scene.train_views[:4]
    ]
    results = estimate_depth(views, bounds=object_scene.scene.bounds)
    for view, result in zip(views, results, strict=True):
        assert (result.depth[~view.mask] == 0).all()
    assert (
        max((result.depth > 0)[view.mask].mean() for view, result in zip(views, results, strict=True)) > 0.2
    )


def test_result_is_the_same_for_any_number_of_threads(room, room_depths):
    before = _core.thread_count()
    try:
        _core.set_thread_count(3)
        again = estimate_depth(room.scene.train_views)
    finally:
        _core.set_thread_count(before)
    for one, other in zip(room_depths, again, strict=True):
        np.testing.assert_array_equal(one.depth, other.depth)
        np.testing.assert_array_equal(one.confidence, other.confidence)


def test_large_photos_are_matched_small_and_brought_back(room, room_depths):
    views = room.scene.train_views
    settings = StereoSettings(working_pixels=120 * 90)
    results = estimate_depth(views, settings)
    for view, result, full in zip(views, results, room_depths, strict=True):
        assert result.depth.shape == full.depth.shape
        known = result.depth > 0
        assert known.mean() > 0.5
        assert (relative_error(result.depth, room.depths[view.name])[known] < 0.03).mean() > 0.85


def test_photos_of_different_sizes(room):
    views = room.scene.train_views
    camera = views[1].camera.resized(160, 120)
    small = raycast_scene("box_room", views=[camera], size=(160, 120), supersampling=2).scene.train_views[0]
    mixed = [views[0], dataclasses.replace(small, name="small.png"), views[2]]
    results = estimate_depth(mixed)
    assert results[1].depth.shape == (120, 160)
    assert all((result.depth > 0).mean() > 0.4 for result in results)


def test_progress_reaches_its_end(room):
    steps = []
    estimate_depth(room.scene.train_views[:2], progress=lambda done, total: steps.append((done, total)))
    assert steps == [(done, 8) for done in range(1, 9)], "two photos, two passes, two ranges of depth"


def test_what_lies_behind_the_matches_is_found_too(room):
    views = room.scene.train_views[:3]
    first, truth = views[0], room.depths[views[0].name]
    near = np.flatnonzero(truth.reshape(-1) < np.percentile(truth, 30))[:: truth.size // 200]
    points = first.camera.unproject(
        first.camera.pixel_centers().reshape(-1, 2)[near], truth.reshape(-1)[near]
    )
    few = TriangulatedMatches(
        points, np.zeros((len(points), 3), np.float32), np.tile([0, 1], (len(points), 1))
    )
    (_, far), *_ = depth_ranges([view.camera for view in views], few)
    beyond = visible_elsewhere(room, 0) & (truth > 1.05 * far)
    assert 30 <= len(points) < 100 and beyond.mean() > 0.1, "the matches leave out much"

    steps = []
    bounds = (0.5 * float(truth.min()), 2.0 * float(truth.max()))
    found = estimate_depth(
        views,
        bounds=bounds,
        matches=few,
        progress=lambda done, total: steps.append((done, total)),
    )[0]
    good = (found.depth > 0) & (relative_error(found.depth, truth) < 0.02)
    assert good[beyond].mean() > 0.7
    assert steps == [(done, 12) for done in range(1, 13)]


def test_one_photo_is_refused(room):
    with pytest.raises(ReconError, match="at least two photos, got 1"):
        estimate_depth(room.scene.train_views[:1])


def test_photos_that_share_nothing_are_refused(room):
    image = room.scene.train_views[0].image
    cameras = [camera_at([0, 0, 0], [1, 0, 0], (224, 168)), camera_at([0, 5, 0], [-1, 5, 0], (224, 168))]
    views = [View(f"{i}.png", camera, lambda: Pixels(image)) for i, camera in enumerate(cameras)]
    with pytest.raises(ReconError, match="no two photos that show the same part"):
        estimate_depth(views, bounds=(1.0, 4.0))


def test_photos_from_one_place_are_refused(room):
    view = room.scene.train_views[0]
    twins = [View("a.png", view.camera, lambda: view.pixels), View("b.png", view.camera, lambda: view.pixels)]
    with pytest.raises(ReconError, match="parallax"):
        estimate_depth(twins)
