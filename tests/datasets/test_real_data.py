"""The readers' cameras against an independent fact: SIFT matches must meet in space and meet again in a third photo."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from recon.datasets import PictureSize, open_photos, open_scene
from recon.scene import Camera, Scene, View

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif("RECON_DATA" not in os.environ, reason="RECON_DATA is not set"),
]


def data(name: str) -> Path:
    path = Path(os.environ["RECON_DATA"]) / name
    if not path.exists():
        pytest.skip(f"RECON_DATA has no {name}")
    return path


def views_of(scene: Scene, *names: str) -> list[View]:
    return [scene.view(name) for name in names]


def test_fern() -> None:
    scene = open_scene(data("llff/fern"), protocol="llff", views=3)
    assert scene.train == ("image001.png", "image010.png", "image019.png")
    assert scene.test == ("image000.png", "image008.png", "image016.png")
    camera = scene.views[0].camera
    assert (camera.width, camera.height) == (504, 378) and camera.fx == pytest.approx(3260.52633 / 8)
    views = list(scene.views[5:8])
    assert third_view_error(views) < 1.0
    assert third_view_error(views, [with_opengl_axes(view.camera) for view in views]) > 20
    finer = open_scene(data("llff/fern"))
    assert finer.views[0].camera.width == 1008


def test_spare() -> None:
    scene = open_scene(data("spare"), protocol="spare", views=3, downscale=2)
    assert scene.train == tuple(f"rect_{i + 1:03d}_3_r5000.png" for i in (1, 12, 23))
    assert len(scene.test) == 10 and not any(view.withheld for view in scene.test_views)
    full = scene.views[0].camera.resized(1600, 1200)
    np.testing.assert_allclose(full.intrinsics, [2892.33, 2883.175, 823.205, 619.071], atol=0.01)
    views = views_of(scene, *(f"rect_{i:03d}_3_r5000.png" for i in (12, 13, 15)))
    assert third_view_error(views) < 1.0
    assert third_view_error(views, [view.camera for view in scene.views[:3]]) > 20
    mask = views[0].mask
    assert mask is not None and 0.1 < mask.mean() < 0.6
    assert len(open_scene(data("spare"), views=9).train) == 9


def test_fox() -> None:
    scene = open_scene(data("fox"), max_size=960)
    assert len(scene.views) == 50
    assert any(sentence.startswith("transforms.json lists 17 pictures") for sentence in scene.warnings)
    views = views_of(scene, "0001.jpg", "0002.jpg", "0003.jpg")
    assert third_view_error(views) < 1.0
    valid = views[0].valid
    assert valid is not None and 0.95 < valid.mean() < 1


def test_lego() -> None:
    scene = open_scene(data("lego_400"), protocol="blender")
    assert len(scene.train) == 8 and len(scene.test) == 25 and scene.background == (1.0, 1.0, 1.0)
    views = views_of(scene, "train/r_0.png", "train/r_41.png")
    assert pair_agreement(views) > 0.7
    assert pair_agreement(views, [with_opengl_axes(view.camera) for view in views]) < 0.1
    mask = views[0].mask
    assert mask is not None and (views[0].image[~mask] > 0.4).all()


def test_panoptic() -> None:
    """Neighbouring cameras are 23 degrees apart, so many matches are wrong; chance would let 3 in 100 agree."""
    scene = open_scene(data("panoptic_basketball"))
    assert len(scene.train) == 27 and len(scene.test) == 4
    views = views_of(scene, "30/000000.jpg", "23/000000.jpg")
    assert pair_agreement(views) > 0.4
    assert pair_agreement(views, [view.camera for view in scene.views[:2]]) < 0.15
    later = open_scene(data("panoptic_basketball"), frame=149)
    assert later.train == tuple(f"{c}/000149.jpg" for c in (1, 9, 18, 23)) and later.test == (
        "30/000149.jpg",
    )


def test_sceaux() -> None:
    photos = open_photos(data("sceaux"), PictureSize(max_size=1416))
    calibration = np.loadtxt(data("sceaux") / "images" / "K.txt")
    assert len(photos) == 11
    for photo in photos:
        assert photo.focal_pixels == pytest.approx(calibration[0, 0] / 2, rel=0.03)
    assert photos.photos[0].image.shape == (1064, 1416, 3)


def features(view: View) -> tuple[np.ndarray, np.ndarray]:
    gray = np.round(cv2.cvtColor(view.image, cv2.COLOR_RGB2GRAY) * 255).astype(np.uint8)
    keypoints, descriptors = cv2.SIFT_create(3000).detectAndCompute(gray, None)
    return np.array([point.pt for point in keypoints]) + 0.5, descriptors  # OpenCV counts from pixel centres


def matches(first: np.ndarray, second: np.ndarray) -> dict[int, int]:
    """Match descriptors by the ratio test in one direction and as the nearest in the other."""
    matcher = cv2.BFMatcher()
    back = {match.queryIdx: match.trainIdx for match in matcher.match(second, first)}
    pairs = matcher.knnMatch(first, second, k=2)
    return {
        best.queryIdx: best.trainIdx
        for best, other in pairs
        if best.distance < 0.75 * other.distance and back[best.trainIdx] == best.queryIdx
    }


def triangulate(first: Camera, second: Camera, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    projections = [camera.matrix @ camera.world_to_camera[:3] for camera in (first, second)]
    points = cv2.triangulatePoints(*projections, x.T, y.T)
    return (points[:3] / points[3]).T


def third_view_error(views: list[View], cameras: list[Camera] | None = None) -> float:
    """Return the median distance in pixels of points from two views to their match in the third."""
    a, b, c = cameras or [view.camera for view in views]
    points, descriptors = zip(*map(features, views), strict=True)
    to_b, to_c = matches(descriptors[0], descriptors[1]), matches(descriptors[0], descriptors[2])
    seen = [i for i in to_b if i in to_c]
    assert len(seen) >= 15
    space = triangulate(a, b, points[0][seen], points[1][[to_b[i] for i in seen]])
    pixels, depth = c.project(space)
    error = np.linalg.norm(pixels - points[2][[to_c[i] for i in seen]], axis=1)
    return float(np.median(np.where(depth > 0, error, np.inf)))


def pair_agreement(views: list[View], cameras: list[Camera] | None = None) -> float:
    """Return the share of matches that meet in space in front of both cameras, within 2 pixels."""
    a, b = cameras or [view.camera for view in views]
    (x, first), (y, second) = map(features, views)
    pairs = matches(first, second)
    assert len(pairs) >= 15
    x, y = x[list(pairs)], y[list(pairs.values())]
    space = triangulate(a, b, x, y)
    good = np.ones(len(pairs), bool)
    for camera, pixels in ((a, x), (b, y)):
        found, depth = camera.project(space)
        good &= (depth > 0) & (np.linalg.norm(found - pixels, axis=1) < 2)
    return float(good.mean())


def with_opengl_axes(camera: Camera) -> Camera:
    """Return the camera as a reader would that forgot to turn the axes."""
    return camera.moved(np.diag([1.0, -1.0, -1.0, 1.0]) @ camera.world_to_camera)
