"""Photos of one place that are exposed differently, and photos that only look as if they were."""

from dataclasses import replace

import numpy as np
import pytest

from recon.methods.stereo_inputs import stereo_inputs
from recon.scene import evened
from recon.stereo import StereoSettings, estimate_depth, exposure, relative_exposures
from tests.stereo.stereo_cases import with_pixels

FACTORS = np.array([[0.8, 0.8, 0.85], [1.0, 1.05, 1.0], [1.2, 1.15, 1.1]])


def exposed(view, factors):
    """The photo that a camera with this exposure would have taken."""
    image = (view.image * np.asarray(factors)).clip(0, 1).astype(np.float32)
    return with_pixels(view, replace(view.pixels, image=image))


@pytest.fixture(scope="module")
def views(room):
    return room.scene.train_views


def test_factors_are_found_to_two_percent(views, room_depths):
    found = relative_exposures([exposed(*pair) for pair in zip(views, FACTORS, strict=True)], room_depths)
    expected = FACTORS / np.exp(np.log(FACTORS).mean(axis=0))
    np.testing.assert_allclose(found, expected, rtol=0.02)


def test_evened_photos_show_the_same_again(views, room_depths):
    photos = [exposed(*pair) for pair in zip(views, FACTORS, strict=True)]
    found = relative_exposures(photos, room_depths)
    names = {view.name: row.tolist() for view, row in zip(views, found, strict=True)}
    even = [evened(photo, names) for photo in photos]
    assert relative_exposures(even, room_depths) is None
    assert evened(photos[0], {}) is photos[0]


def test_photos_that_are_exposed_alike_stay(views, room_depths):
    assert relative_exposures(views, room_depths) is None


def test_a_difference_that_varies_over_the_photo_is_no_exposure(views, room_depths):
    """As where a surface shines: brighter here, darker there."""
    ramp = np.linspace(0.5, 1.3, views[0].camera.width)[None, :, None]
    photos = [exposed(view, ramp if number == 0 else [1.0] * 3) for number, view in enumerate(views)]
    assert relative_exposures(photos, room_depths) is None


def test_a_difference_that_depends_on_the_pair_is_no_exposure(views, room_depths, monkeypatch):
    """Going around from photo to photo has to lead back to where it began."""
    compared = exposure._compared

    def turning(first, second, *rest):
        pair = compared(first, second, *rest)
        return replace(pair, ratio=np.full(3, 0.2 if (first, second) != (0, 2) else -0.2), spread=0.01)

    monkeypatch.setattr(exposure, "_compared", turning)
    assert relative_exposures(views, room_depths) is None


def test_cut_out_objects_and_lone_photos_stay(views, room_depths):
    photos = [exposed(*pair) for pair in zip(views, FACTORS, strict=True)]
    cut_out = with_pixels(photos[0], replace(photos[0].pixels, background=(1.0, 1.0, 1.0)))
    assert relative_exposures([cut_out, *photos[1:]], room_depths) is None
    nothing = [replace(depth, depth=np.zeros_like(depth.depth)) for depth in room_depths]
    assert relative_exposures(photos, nothing) is None


def test_depth_hardly_depends_on_the_exposure(views, room_depths):
    photos = [exposed(*pair) for pair in zip(views, FACTORS, strict=True)]
    for before, after in zip(room_depths, estimate_depth(photos), strict=True):
        both = (before.depth > 0) & (after.depth > 0)
        assert both.mean() > 0.9 * (before.depth > 0).mean()
        assert np.median(np.abs(after.depth - before.depth)[both] / before.depth[both]) < 2e-3


def test_methods_are_given_even_photos(views):
    photos = [exposed(*pair) for pair in zip(views, FACTORS, strict=True)]
    inputs = stereo_inputs(photos, StereoSettings())
    assert set(inputs.exposures) == {view.name for view in views}
    for view, given in zip(views, inputs.views, strict=True):
        expected = (view.image * np.exp(np.log(FACTORS).mean(axis=0))).clip(0, 1)
        assert np.abs(given.image - expected).mean() < 0.01
    untouched = stereo_inputs(photos, StereoSettings(exposures=False))
    assert not untouched.exposures and untouched.views[0].image is photos[0].image
