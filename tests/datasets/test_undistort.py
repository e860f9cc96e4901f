import cv2
import numpy as np
import pytest

from recon.datasets.undistort import NO_DISTORTION, Distortion, undistort
from recon.scene import Camera

CAMERA = Camera(np.eye(4), 110.0, 118.0, 67.3, 44.1, 128, 96)
PERSPECTIVE = Distortion("perspective", (-0.12, 0.03, 0.002, -0.003))
BARREL = Distortion("perspective", (0.12, -0.02, 0.001, 0.002))
RATIONAL = Distortion("perspective", (0.2, -0.05, 0.001, -0.002, 0.01, 0.15, 0.02, 0.003))
FISHEYE = Distortion("fisheye", (0.03, -0.02, 0.004, -0.001))
LENSES = [PERSPECTIVE, BARREL, RATIONAL, FISHEYE]


def scenery(points: np.ndarray) -> np.ndarray:
    """Return the smooth colour that an ideal image point (x/z, y/z) shows."""
    x, y = points[..., 0], points[..., 1]
    return np.stack([0.5 + 0.4 * np.sin(9 * x + 4 * y), 0.5 + 0.4 * np.cos(8 * y - 3 * x), 0.5 + 0.3 * x], -1)


@pytest.mark.parametrize("lens", LENSES)
def test_the_lens_bends_points_as_opencv_has_it(lens: Distortion) -> None:
    points = np.random.default_rng(0).uniform(-0.6, 0.6, (50, 2))
    points[0] = 0
    rays = np.column_stack([points, np.ones(50)])
    model = cv2.fisheye.projectPoints if lens.model == "fisheye" else cv2.projectPoints
    arguments = (rays[:, None], np.zeros(3), np.zeros(3), np.eye(3), np.array(lens.coefficients))
    np.testing.assert_allclose(lens.apply(points), model(*arguments)[0].reshape(-1, 2), atol=1e-12)


@pytest.mark.parametrize("lens", LENSES)
def test_undistorting_gives_the_pinhole_picture(lens: Distortion) -> None:
    """Paint what the lens sees, undistort it, and compare with the painted ideal picture."""
    bent = (CAMERA.pixel_centers() - [CAMERA.cx, CAMERA.cy]) / [CAMERA.fx, CAMERA.fy]
    straight = bent
    for _ in range(200):
        straight = straight + bent - lens.apply(straight)
    np.testing.assert_allclose(lens.apply(straight), bent, atol=1e-9)
    seen = scenery(straight).astype(np.float32)
    picture, valid = undistort(seen, CAMERA, lens)
    expected = scenery((CAMERA.pixel_centers() - [CAMERA.cx, CAMERA.cy]) / [CAMERA.fx, CAMERA.fy])
    inside = np.zeros((96, 128), bool)
    inside[3:-3, 3:-3] = True
    if valid is not None:
        inside &= cv2.erode(valid.astype(np.uint8), np.ones((5, 5))).astype(bool)
        assert (picture[~valid] == 0).all()
    assert inside.mean() > 0.5
    assert np.abs(picture - expected)[inside].max() < 4e-3  # a shift of half a pixel would be 0.04


def test_validity_is_where_the_lens_saw_something() -> None:
    """A lens that squeezes sees beyond the pinhole picture; one that stretches leaves its corners empty."""
    white = np.ones((96, 128, 3), np.float32)
    picture, valid = undistort(white, CAMERA, PERSPECTIVE)
    assert valid is None
    np.testing.assert_allclose(picture, 1.0, atol=1e-6)
    picture, valid = undistort(white, CAMERA, BARREL)
    assert valid is not None and not valid[0, 0] and valid[48, 64] and 0.8 < valid.mean() < 1
    np.testing.assert_allclose(picture[valid], 1.0, atol=1e-6)


def test_a_polynomial_that_folds_back_shows_nothing_twice() -> None:
    """Beyond its turning point a radial polynomial returns to the middle: those pixels are not valid."""
    lens = Distortion("perspective", (-1.5, 0.0, 0.0, 0.0))  # r (1 - 1.5 r^2) turns at r = 0.47
    camera = Camera(np.eye(4), 60.0, 60.0, 64.0, 48.0, 128, 96)
    _, valid = undistort(np.ones((96, 128, 3), np.float32), camera, lens)
    radius = np.linalg.norm((camera.pixel_centers() - [64, 48]) / 60.0, axis=-1)
    assert valid is not None
    assert not valid[radius > 0.48].any() and valid[radius < 0.46].all()


def test_no_distortion_changes_nothing() -> None:
    values = np.random.default_rng(0).random((96, 128, 3), dtype=np.float32)
    picture, valid = undistort(values, CAMERA, NO_DISTORTION)
    assert picture is values and valid is None
    assert not Distortion("fisheye", (0.0, 0.0, 0.0, 0.0)).is_none


def test_masks_are_undistorted_too() -> None:
    mask, _ = undistort(np.ones((96, 128), np.float32), CAMERA, PERSPECTIVE)
    assert mask.shape == (96, 128)
    with pytest.raises(ValueError, match="expected a picture of 128x96"):
        undistort(np.ones((95, 128), np.float32), CAMERA, PERSPECTIVE)
