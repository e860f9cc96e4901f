"""What is measured on the inputs."""

from dataclasses import replace

import numpy as np
import pytest

from recon.methods.inputs import Inputs
from recon.scene import Pixels, View
from recon.stereo.depth_map import DepthMap
from recon.stereo.points import PointCloud
from tests.stereo.stereo_cases import camera_at


def cloud(positions) -> PointCloud:
    count = len(positions)
    one = np.ones(count, np.float32)
    rows = np.zeros((count, 3), np.float32)
    return PointCloud(np.asarray(positions, np.float32), rows, rows, one, one, np.zeros(count, np.int32))


@pytest.fixture
def inputs():
    """Two cameras that look at the origin side by side, and one that looks away."""
    cameras = (
        camera_at([-0.3, -4, 0], [0, 0, 0]),
        camera_at([0.3, -4, 0], [0, 0, 0]),
        camera_at([0, 4, 0], [0, 8, 0]),
    )
    image = np.zeros((cameras[0].height, cameras[0].width, 3), np.float32)
    views = [View(f"{number}", camera, lambda: Pixels(image)) for number, camera in enumerate(cameras)]
    return Inputs(views, [], None, near=1.0, far=10.0)


def test_overlap_counts_the_photos_that_frame_a_point(inputs):
    assert replace(inputs, points=cloud([[0, 0, 0]])).overlap == 2
    assert (
        replace(inputs, points=cloud([[0, 0, 0], [0, 8, 0]])).overlap == 2.5
    )  # behind it, the third sees as well
    assert replace(inputs, points=cloud([[0, -9, 0]])).overlap == 0


def test_overlap_without_stereo_is_the_number_of_photos(inputs):
    assert inputs.overlap == 3
    assert replace(inputs, points=cloud(np.zeros((0, 3)))).overlap == 3


def test_overlap_of_a_large_cloud_is_taken_from_a_sample(inputs):
    points = np.random.default_rng(0).normal(scale=0.1, size=(50_000, 3))
    assert replace(inputs, points=cloud(points)).overlap == pytest.approx(2, abs=0.01)


def test_stereo_errs_in_pixels_of_the_size_that_it_matched(inputs):
    shape = inputs.views[0].camera.height, inputs.views[0].camera.width
    empty = np.zeros(shape, np.float32)
    depths = [
        DepthMap(empty, empty, np.zeros((*shape, 3), np.float32), empty > 0, stride)
        for stride in (2.0, 4.0, 2.0)
    ]
    assert inputs.matched_pixel_size == inputs.pixel_size
    assert replace(inputs, depths=depths).matched_pixel_size == 4 * inputs.pixel_size
