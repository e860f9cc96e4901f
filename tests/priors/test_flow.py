"""Correspondences from stereo and from optical flow agree with the truth where they claim to know."""

import numpy as np
import pytest

from recon.priors import DisFlow, StereoFlow
from recon.priors.flow import forward_backward_mask
from recon.stereo import DepthMap
from recon.synth.raycast import arc_cameras, raycast_scene


@pytest.fixture(scope="module")
def near_pair():
    """Two photos of a room from a few degrees apart."""
    cameras = arc_cameras("box_room", 9, (160, 120))[:2]
    return raycast_scene("box_room", views=cameras, size=(160, 120))


def true_depths(raycast) -> list[DepthMap]:
    maps = []
    for view in raycast.scene.train_views:
        depth = raycast.depths[view.name]
        normal, nothing = np.zeros((*depth.shape, 3), np.float32), np.zeros(depth.shape, bool)
        maps.append(DepthMap(depth, np.ones_like(depth), normal, nothing))
    return maps


def true_target(raycast, i: int, j: int) -> np.ndarray:
    views = raycast.scene.train_views
    depth = raycast.depths[views[i].name]
    points = views[i].camera.unproject(views[i].camera.pixel_centers().reshape(-1, 2), depth.reshape(-1))
    return views[j].camera.project(points)[0].reshape(*depth.shape, 2)


@pytest.mark.parametrize(("prior", "pixels", "share"), [(StereoFlow(), 0.01, 0.6), (DisFlow(), 1.0, 0.4)])
def test_trusted_flow_points_where_the_surface_is(near_pair, prior, pixels, share):
    flows = prior(near_pair.scene.train_views, true_depths(near_pair))
    assert set(flows) == {(0, 1), (1, 0)}
    for (i, j), flow in flows.items():
        error = np.linalg.norm(flow.target - true_target(near_pair, i, j), axis=-1)[flow.mask]
        assert flow.mask.mean() > share
        assert np.median(error) < pixels


def test_stereo_flow_leaves_out_what_was_filled_and_what_is_not_trusted(near_pair):
    maps = true_depths(near_pair)
    maps[0].filled[:60] = True
    maps[0].confidence[:, :40] = 0.1
    mask = StereoFlow()(near_pair.scene.train_views, maps)[0, 1].mask
    assert not mask[:60].any() and not mask[:, :40].any() and mask[60:, 40:].any()


def test_the_mask_keeps_what_comes_back_and_drops_what_does_not():
    forward = np.zeros((40, 60, 2), np.float32)
    forward[..., 0] = 5
    backward = -forward
    assert forward_backward_mask(forward, backward)[10:30, 10:50].all()
    assert not forward_backward_mask(forward, backward)[:, 56:].any(), "targets beside the picture"
    backward[15:20, 30:35, 0] = 3  # 8 pixels off: exp(-4)
    mask = forward_backward_mask(forward, backward)
    assert not mask[15:20, 25:30].any()
    assert not mask[13:22, 23:32].any(), "and eroded by two pixels around"
    assert mask[11, 21]
