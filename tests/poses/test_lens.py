import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from recon.poses.lens import Lens

PIXELS = np.stack(np.meshgrid(np.linspace(0, 400, 9), np.linspace(0, 300, 7)), axis=-1).reshape(-1, 2)


@given(st.floats(-0.12, 0.5), st.floats(250, 900))  # the corner, at most at 1.0, stays inside the fold at 1.1
@settings(deadline=None)
def test_normalize_inverts_to_pixels(k1, focal):
    lens = Lens(focal, 200, 150, k1, 400, 300)
    np.testing.assert_allclose(lens.to_pixels(lens.normalize(PIXELS)), PIXELS, atol=1e-6)


def test_agrees_with_opencv():
    lens = Lens(350, 203, 148, -0.12, 400, 300)
    matrix = np.array([[350, 0, 203], [0, 350, 148], [0, 0, 1.0]])
    rays = np.concatenate([lens.normalize(PIXELS), np.ones((len(PIXELS), 1))], axis=1)
    projected, _ = cv2.projectPoints(rays, np.zeros(3), np.zeros(3), matrix, np.array([-0.12, 0, 0, 0]))
    np.testing.assert_allclose(projected.reshape(-1, 2), PIXELS, atol=1e-6)


def test_positions_beyond_the_fold_stay_finite():
    lens = Lens(
        100, 200, 150, -0.5, 400, 300
    )  # r (1 - r^2 / 2) has its maximum 0.54 at 0.82; the corner is at 2.5
    assert np.isfinite(lens.normalize(PIXELS)).all()


def test_resized_keeps_directions():
    lens = Lens(350, 190, 160, 0.1, 400, 300)
    double = lens.resized(800, 600)
    np.testing.assert_allclose(double.normalize(2 * PIXELS), lens.normalize(PIXELS), atol=1e-9)
    assert double.relative_focal == lens.relative_focal
