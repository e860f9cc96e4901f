"""Where the Gaussians start does not depend on how finely the photos were scanned."""

import numpy as np
import pytest
import torch

from recon.methods.initialize import InitialSettings, initial_gaussians
from recon.methods.stereo_inputs import stereo_inputs
from recon.scene import Pixels, View
from recon.stereo import StereoSettings

WORKING = StereoSettings(planes=32, working_pixels=48 * 36, coarse_pixels=48 * 36, second_pass=False)


def enlarged(view: View, factor: int) -> View:
    camera = view.camera.resized(view.camera.width * factor, view.camera.height * factor)
    image = np.ascontiguousarray(view.image.repeat(factor, axis=0).repeat(factor, axis=1))
    return View(view.name, camera, lambda: Pixels(image))


@pytest.fixture(scope="module")
def starts(textured_scene):
    """The start from the same three photos at two sizes, matched at one."""
    views = textured_scene.scene.train_views[:3]
    result = []
    for factor in (1, 2):
        inputs = stereo_inputs([enlarged(view, factor) for view in views], WORKING)
        generator = torch.Generator().manual_seed(0)
        assert inputs.depths[0].stride == pytest.approx(2 * factor)
        result.append(initial_gaussians(inputs, InitialSettings(count=500), 0, generator))
    return result


def test_the_backdrop_has_as_many_cells_at_any_size(starts):
    small, large = starts
    assert len(small) > 500
    assert len(large) == pytest.approx(len(small), rel=0.02)


def test_gaussians_are_as_large_in_the_world_at_any_size(starts):
    small, large = (start.log_scales.exp().amax(dim=1).quantile(0.5) for start in starts)
    assert large == pytest.approx(float(small), rel=0.1)
