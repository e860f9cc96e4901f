"""The ray caster: determinism, exact depth, camera conventions, masks."""

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from recon.errors import ReconError
from recon.scene import Camera, look_at
from recon.synth.raycast import Box, Rectangle, SolidTexture, Sphere, raycast, raycast_scene

UP = np.array([0.0, 0.0, 1.0])


def camera_at(position, target, size=(40, 30), focal=40.0) -> Camera:
    pose = look_at(np.array(position), np.array(target), UP)
    return Camera(pose, focal, focal, size[0] / 2, size[1] / 2, *size)


def texture(seed=0) -> SolidTexture:
    return SolidTexture.random(np.random.default_rng(seed), 0.2)


def sample(image, pixels):
    """Bilinear samples of an image at pixel positions (centres at +0.5)."""
    coordinates = [pixels[:, 1] - 0.5, pixels[:, 0] - 0.5]
    channels = image[..., None] if image.ndim == 2 else image
    return np.stack(
        [
            map_coordinates(channels[..., c], coordinates, order=1, mode="nearest")
            for c in range(channels.shape[-1])
        ],
        axis=-1,
    )


def test_same_seed_same_pixels_other_seed_other_texture():
    first, again, other = (raycast_scene(views=2, size=(24, 18), seed=seed) for seed in (3, 3, 4))
    for view in first.scene.views:
        assert np.array_equal(view.image, again.scene.view(view.name).image)
        assert not np.allclose(view.image, other.scene.view(view.name).image, atol=0.02)
        assert np.array_equal(first.depths[view.name], other.depths[view.name])


def test_split_names_and_types():
    scene, depths = raycast_scene(views=3, test_views=2, size=(24, 18))
    assert scene.train == ("view_00.png", "view_01.png", "view_02.png")
    assert scene.test == ("test_00.png", "test_01.png")
    assert set(depths) == {view.name for view in scene.views}
    for view in scene.views:
        assert view.image.dtype == np.float32 and view.image.shape == (18, 24, 3)
        assert view.image.min() >= 0 and view.image.max() <= 1 and view.image.std() > 0.05
        assert depths[view.name].dtype == np.float32
        positions = view.camera.center
        assert not any(
            np.allclose(positions, o.camera.center, atol=1e-3) for o in scene.views if o is not view
        )


def test_wall_is_at_depth_four_everywhere():
    scene, depths = raycast_scene("wall", views=3, size=(32, 24))
    for view in scene.views:
        np.testing.assert_allclose(depths[view.name], 4.0, atol=1e-5)


@pytest.mark.parametrize("name", ["box_room", "object"])
def test_depth_carries_colours_into_the_next_view(name):
    """Pixels of one view, moved through its depth, land in the next view on the same depth and colour."""
    scene, depths = raycast_scene(name, views=6 if name == "box_room" else 16, size=(160, 120))
    source, target = scene.train_views[2:4]
    depth = depths[source.name]
    inner = depth.ravel() > 0
    points = source.camera.unproject(
        source.camera.pixel_centers().reshape(-1, 2)[inner], depth.ravel()[inner]
    )
    pixels, z = target.camera.project(points)
    inside = ((pixels > 1) & (pixels < [159, 119])).all(axis=-1)
    target_depth = sample(depths[target.name], pixels)[:, 0]
    visible = inside & (np.abs(target_depth / z - 1) < 0.01)
    assert visible.sum() > 0.6 * inside.sum()
    difference = sample(target.image, pixels[visible]) - source.image.reshape(-1, 3)[inner][visible]
    # Interpolation blurs the finest wavelength (four pixels) a little; shifting by one pixel is far worse.
    assert np.sqrt((difference**2).mean()) < 0.03
    shifted = sample(target.image, pixels[visible] + [1.0, 0.0]) - source.image.reshape(-1, 3)[inner][visible]
    assert np.sqrt((shifted**2).mean()) > 2 * np.sqrt((difference**2).mean())


def test_right_and_up_in_the_world_are_right_and_up_in_the_picture():
    """From -y, world x is to the right and z is up; OpenCV axes put both at the proper pixel side."""
    camera = camera_at([0.0, -5.0, 0.0], [0.0, 0.0, 0.0])
    right = raycast([Sphere(np.array([1.0, 0, 0]), 0.3, texture())], camera).depth > 0
    above = raycast([Sphere(np.array([0, 0, 1.0]), 0.3, texture())], camera).depth > 0
    rows, columns = np.nonzero(right)
    assert columns.mean() + 0.5 == pytest.approx(20 + 40 / 5, abs=0.5)
    assert rows.mean() + 0.5 == pytest.approx(15, abs=0.2)
    rows, columns = np.nonzero(above)
    assert rows.mean() + 0.5 == pytest.approx(15 - 40 / 5, abs=0.5)


def test_sphere_depth_is_the_closed_form():
    camera = camera_at([0.0, -5.0, 0.0], [0.0, 0.0, 0.0], size=(41, 31))
    result = raycast([Sphere(np.zeros(3), 1.0, texture())], camera)
    assert result.depth[15, 20] == pytest.approx(4.0, abs=1e-6)
    points = camera.unproject(camera.pixel_centers()[result.depth > 0], result.depth[result.depth > 0])
    np.testing.assert_allclose(np.linalg.norm(points, axis=-1), 1.0, atol=1e-5)


def test_box_surface_and_normals():
    box = Box(np.array([0.2, 0.1, -0.1]), np.array([0.5, 0.4, 0.6]), 0.7, texture())
    camera = camera_at([1.0, -4.0, 1.5], [0.0, 0.0, 0.0], size=(64, 48), focal=70.0)
    result = raycast([box], camera)
    hit = result.depth > 0
    local = np.abs(box.to_local(camera.unproject(camera.pixel_centers()[hit], result.depth[hit]))) / box.half
    np.testing.assert_allclose(local.max(axis=-1), 1.0, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(result.normal[hit], axis=-1), 1.0, atol=1e-5)
    rays = np.concatenate(
        [(camera.pixel_centers()[hit] - [camera.cx, camera.cy]) / camera.fx, np.ones((hit.sum(), 1))], -1
    )
    assert ((result.normal[hit] * rays).sum(-1) < 0).all()
    assert len(np.unique(result.normal[hit].round(3), axis=0)) == 3


def test_nearer_shape_hides_the_farther():
    front = Rectangle(np.array([-1.0, 0, -1]), np.array([2.0, 0, 0]), np.array([0, 0, 2.0]), texture(1))
    back = Rectangle(np.array([-9.0, 3, -9]), np.array([18.0, 0, 0]), np.array([0, 0, 18.0]), texture(2))
    camera = camera_at([0.0, -4.0, 0.0], [0.0, 0.0, 0.0])
    result = raycast([back, front], camera)
    assert set(np.unique(result.shape_index)) == {0, 1}
    np.testing.assert_allclose(result.depth[result.shape_index == 1], 4.0, atol=1e-6)
    np.testing.assert_allclose(result.depth[result.shape_index == 0], 7.0, atol=1e-6)


def test_masks_mark_exactly_what_has_depth(object_scene):
    scene, depths = object_scene
    for view in scene.views:
        assert view.mask is not None
        assert np.array_equal(view.mask, depths[view.name] > 0)
        assert 0.1 < view.mask.mean() < 0.9
        eroded_outside = ~view.mask & (view.image.max(axis=-1) == 0)
        assert eroded_outside.sum() > 0.8 * (~view.mask).sum()


def test_time_moves_some_shapes_only():
    still, moved = (
        raycast_scene(views=1, size=(80, 60), time=time).scene.views[0].image for time in (0.0, 1.0)
    )
    changed = np.abs(still - moved).max(axis=-1) > 0.02
    assert 0.02 < changed.mean() < 0.4


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"name": "garden"}, "there is no ray-cast scene 'garden'"),
        ({"views": 0}, "at least one view"),
        ({"size": (0, 10)}, "positive size"),
    ],
)
def test_mistakes_are_told(arguments, sentence):
    with pytest.raises(ReconError, match=sentence):
        raycast_scene(**arguments)
