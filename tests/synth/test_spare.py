"""The SpaRe stand-in: rig, splits, and a small rendered set read back through the data-set reader."""

import itertools
import json
import math
import shutil

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import map_coordinates

from recon.datasets import open_scene
from recon.datasets.projection import camera_from_projection
from recon.datasets.spare import picture_name, read_spare, read_spare_split, spare_scenes
from recon.errors import ReconError
from recon.synth.spare import generate_spare, read_size, scene_name
from recon.synth.spare_layout import blender_cameras, draw_views, part_of
from recon.synth.spare_rig import FARTHEST, LIGHTINGS, NEAREST, TARGET, in_millimetres, lamps, spare_cameras

SIZE = (64, 48)
VIEWS = 19
SEED = 75


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    pytest.importorskip("mitsuba")
    folder = tmp_path_factory.mktemp("spare") / "set"
    told = []
    made = generate_spare(
        folder,
        scenes=2,
        seed=SEED,
        views=VIEWS,
        size=SIZE,
        samples=2,
        workers=1,
        progress=lambda *at: told.append(at),
    )
    assert (made.pictures, made.rendered) == (2 * VIEWS, 2 * VIEWS)
    assert [at[0] for at in told] == list(range(1, 2 * VIEWS + 1)) and told[-1][1] == 2 * VIEWS
    return folder


def test_rig_has_rows_and_distances_of_the_arrangement():
    cameras = spare_cameras()
    assert len(cameras) == 49 and len(spare_cameras(23)) == 23
    distances = [np.linalg.norm(camera.center - TARGET) for camera in cameras]
    assert min(distances) == pytest.approx(NEAREST, abs=0.003) and max(distances) == pytest.approx(FARTHEST)
    heights = [camera.center[2] for camera in cameras]
    assert np.mean(heights[:5]) > np.mean(heights[5:11]) > np.mean(heights[11:19]) > np.mean(heights[38:])
    steps = [np.linalg.norm(a.center - b.center) for a, b in itertools.pairwise(cameras)]
    assert max(steps) < 0.18  # back and forth: neighbours in number are neighbours in space
    for camera in cameras:
        pixel, _ = camera.project(np.array([TARGET]))
        assert np.abs(pixel[0] - [800, 600]).max() < 100


def test_lightings():
    assert len(lamps(3)) == 6
    single = [lamps(light) for light in range(LIGHTINGS) if light != 3]
    assert all(len(chosen) == 1 for chosen in single)
    assert [chosen[0] for chosen in single] == list(lamps(3))
    assert single[0][0].position[0] < -0.5 and single[-1][0].position[0] > 0.5


def test_views_are_drawn_as_the_benchmark_does():
    for number in range(30):
        draws = draw_views(1, number, 49)
        assert draws == draw_views(1, number, 49)
        assert set(draws[1][0]) < set(draws[2][0])
        for track, count in ((1, 3), (2, 9)):
            inputs, tests = draws[track]
            assert len(inputs) == count and len(tests) == 10 and not set(inputs) & set(tests)
            assert inputs == sorted(inputs) and tests == sorted(tests) and max(inputs + tests) <= 48
    assert draw_views(1, 0, 49)[1][1] != draw_views(1, 0, 49)[2][1]


def test_parts_fill_as_in_the_benchmark():
    parts = [part_of(number) for number in range(40)]
    assert parts[0] == "development" and parts[1] == "test"
    assert parts.count("development") == 6 and parts.count("test") == 9
    assert set(parts[15:]) == {"training"}


def test_blender_form_is_the_same_camera():
    cameras = [in_millimetres(camera) for camera in spare_cameras(20)]
    content = blender_cameras(cameras)
    width, height = content["resolution_x"], content["resolution_y"]
    # Blender's own camera model, sensor fit horizontal.
    fx = content["lens"] / content["sensor_width"] * width
    aspect = content["pixel_aspect_y"] / content["pixel_aspect_x"]
    intrinsics = (
        fx,
        fx / aspect,
        width / 2 - content["shift_x"] * width,
        height / 2 + content["shift_y"] * width / aspect,
    )
    assert intrinsics == pytest.approx((2892.33, 2883.175, 823.205, 619.071), rel=1e-12)
    for entry, camera in zip(content["cameras"], cameras, strict=True):
        pose = np.linalg.inv(np.array(entry["matrix_world"]) @ np.diag([1, -1, -1, 1]))
        np.testing.assert_allclose(pose, camera.world_to_camera, atol=1e-9)


def test_calibration_decomposes_to_the_rig(small):
    for index, camera in enumerate(spare_cameras(VIEWS)):
        matrix = np.loadtxt(small / "synth_calibration" / f"pos_{index + 1:03d}.txt")
        found = camera_from_projection(matrix, 1600, 1200)
        assert found.intrinsics == pytest.approx([2892.33, 2883.175, 823.205, 619.071], abs=1e-6)
        np.testing.assert_allclose(found.world_to_camera[:3, :3], camera.world_to_camera[:3, :3], atol=1e-9)
        np.testing.assert_allclose(found.center, 1000 * camera.center, atol=1e-6)


def test_layout_and_splits_read_back(small):
    names = [scene_name(SEED, number) for number in range(2)]
    assert list(spare_scenes(small)) == names
    assert sorted(path.name for path in (small / names[0]).iterdir()) == [
        picture_name(index, "Synthetic") for index in range(VIEWS)
    ]
    for track, count in ((1, 3), (2, 9)):
        development = read_spare_split(small / f"Track{track}_split_development.json")
        test = read_spare_split(small / f"Track{track}_split_test.json")
        assert list(development) == names[:1] and list(test) == names[1:]
        for entry in (*development.values(), *test.values()):
            assert len(entry.input_views) == count and len(entry.test_views) == 10
            assert entry.kind == "Synthetic"
        scene = open_scene(small, protocol="spare", scene=names[0], track=track)
        assert len(scene.train) == count and len(scene.test) == 10
        assert not any(view.withheld for view in scene.test_views)
        assert scene.test == tuple(
            picture_name(index, "Synthetic") for index in development[names[0]].test_views
        )
    text = (small / "README.txt").read_text()
    assert text.startswith("THIS IS NOT THE SpaRe DATA SET")
    assert "must not be compared" in text and "64x48" in text
    assert not list(small.rglob("*.partial"))


def test_depth_agrees_between_views(small):
    """Points carried by depth into another view meet the same surface there, or are hidden behind a nearer one."""
    scene = read_spare(small, scene=scene_name(SEED, 0))
    compared = 0
    for a, b in ((0, 1), (6, 5), (12, 3)):
        first, second = scene.views[a], scene.views[b]
        known = first.depth.ravel() > 0
        pixels = first.camera.pixel_centers().reshape(-1, 2)[known]
        points = first.camera.unproject(pixels, first.depth.ravel()[known].astype(np.float64))
        at, z = second.camera.project(points)
        place = np.floor(at).astype(int)
        inside = ((place >= 1) & (place < np.array(SIZE) - 1)).all(axis=-1)
        near = np.stack(
            [
                second.depth[place[inside, 1] + dy, place[inside, 0] + dx]
                for dy in (-1, 0, 1)
                for dx in (-1, 0, 1)
            ]
        )
        clear = (near > 0).all(axis=0) & (np.ptp(near, axis=0) < 25.0)  # away from edges
        where = at[inside][clear][:, ::-1].T - 0.5  # a plane's inverse depth is linear in the picture
        there = 1.0 / map_coordinates(1.0 / np.maximum(second.depth, 1.0).astype(np.float64), where, order=1)
        error = z[inside][clear] - there
        assert clear.sum() > 300
        assert np.median(np.abs(error)) < 0.05  # millimetres; the depth files' steps are 0.02
        assert (error > -12.0).mean() > 0.99  # what is seen here is never in front of what is seen there
        compared += int(clear.sum())
    assert compared > 2000


def test_platform_depth_is_exact(small):
    scene = read_spare(small, scene=scene_name(SEED, 0))
    for view in scene.views[:6]:
        camera, depth = view.camera, view.depth
        flat = (depth > 0) & ~view.mask
        points = camera.unproject(camera.pixel_centers()[flat], depth[flat].astype(np.float64))
        top = (np.abs(points[:, :2]) < 295).all(axis=-1)
        assert top.sum() > 500
        assert np.abs(points[top, 2]).max() < 0.02  # one step of the depth file


def test_masks_are_what_stands_above_the_platform(small):
    for name in spare_scenes(small):
        for view in read_spare(small, scene=name).views[::4]:
            camera, depth, mask = view.camera, view.depth, view.mask
            points = camera.unproject(camera.pixel_centers().reshape(-1, 2), depth.ravel().astype(np.float64))
            height = np.where(depth.ravel() > 0, points[:, 2], -1.0).reshape(depth.shape)
            assert mask.sum() > 30
            np.testing.assert_array_equal(height > 0.2, mask & (height > 0.2))
            assert (height[mask] > -0.05).all() and (depth[mask] > 0).all()


def test_pictures_show_a_white_platform_in_the_dark(small):
    scene = read_spare(small, scene=scene_name(SEED, 0))
    low = [view for view in scene.views if (view.depth == 0).mean() > 0.1]
    assert low  # the lower rows look over the platform's edge
    for view in low:
        platform = view.image[(view.depth > 0) & ~view.mask]
        assert np.median(view.image[view.depth == 0]) < 0.08
        assert 0.75 < np.median(platform) < 0.99
        assert platform.std(axis=-1).mean() < 0.08  # no tint


def test_same_pixels_from_processes_and_after_an_interruption(small, tmp_path):
    folder = tmp_path / "again"

    class StopError(Exception):
        pass

    def stop(done: int, total: int, name: str) -> None:
        if done == 4:
            raise StopError

    arguments = {"scenes": 2, "seed": SEED, "views": VIEWS, "size": SIZE, "samples": 2}
    with pytest.raises(StopError):
        generate_spare(folder, **arguments, workers=1, progress=stop)
    first = folder / scene_name(SEED, 0) / "cam_002_3_0000.png"
    before = first.stat().st_mtime_ns
    made = generate_spare(folder, **arguments, workers=2)
    assert (made.pictures, made.rendered) == (2 * VIEWS, 2 * VIEWS - 4)
    assert first.stat().st_mtime_ns == before
    files = [path.relative_to(small) for path in small.rglob("*") if path.is_file()]
    assert len(files) > 6 * VIEWS
    for file in files:
        assert (folder / file).read_bytes() == (small / file).read_bytes(), file


def test_a_later_call_adds_lightings_but_not_other_settings(small, tmp_path):
    folder = tmp_path / "set"
    shutil.copytree(small, folder)
    arguments = {"scenes": 1, "seed": SEED, "views": VIEWS, "size": SIZE, "workers": 1}
    lit = generate_spare(folder, lightings=(6, 3), samples=2, **arguments)
    assert (lit.pictures, lit.rendered) == (2 * VIEWS, VIEWS)
    place = folder / scene_name(SEED, 0)
    all_on, one = (
        np.array(Image.open(place / picture_name(2, "Synthetic", light))).astype(float) for light in (3, 6)
    )
    assert all_on.mean() > 1.5 * one.mean() > 0  # one lamp of six, with the same exposure
    assert len(read_spare(folder, scene=scene_name(SEED, 0)).views) == VIEWS
    with pytest.raises(ReconError, match=r"made with other settings \(samples\)"):
        generate_spare(folder, samples=4, **arguments)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "keep.txt").write_text("keep")
    with pytest.raises(ReconError, match="holds other files"):
        generate_spare(tmp_path / "mine", samples=2, **arguments)


def test_depth_is_shrunk_without_mixing_surfaces(small):
    name = scene_name(SEED, 0)
    full = read_spare(small, scene=name)
    half = open_scene(small, scene=name, max_size=32)
    for a, b in zip(full.views[:3], half.views[:3], strict=True):
        assert b.depth.shape == (24, 32)
        blocks = a.depth.reshape(24, 2, 32, 2).transpose(0, 2, 1, 3).reshape(24, 32, 4)
        known = b.depth > 0
        assert 0.3 < known.mean() < 1
        assert (blocks[known] > 0).all() and (np.ptp(blocks[known], axis=-1) < 0.03 * b.depth[known]).all()
        np.testing.assert_allclose(b.depth[known], blocks[known].mean(axis=-1), rtol=1e-5)


def test_depth_of_another_size_is_told(small, tmp_path):
    name = scene_name(SEED, 1)
    view = read_spare(small, scene=name).views[0]
    file = small / "depth" / name / "000.png"
    kept = file.read_bytes()
    try:
        Image.fromarray(np.zeros((24, 32), np.uint16)).save(file)
        with pytest.raises(ReconError, match=r"depth 000\.png is 32x24, but its picture is 64x48"):
            _ = view.depth
    finally:
        file.write_bytes(kept)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"scenes": 0}, "scenes must be 1 to 999"),
        ({"seed": -1}, "must not be negative"),
        ({"views": 18}, "views must be 19"),
        ({"size": (640, 400)}, "must have the shape of 1600x1200"),
        ({"lightings": (7,)}, "lightings are 0 to 6"),
        ({"samples": 1}, "at least 2 samples"),
        ({"workers": 0}, "workers must be 1 or more"),
    ],
)
def test_mistakes_are_told(arguments, sentence, tmp_path):
    with pytest.raises(ReconError, match=sentence):
        generate_spare(tmp_path / "out", **arguments)
    assert not (tmp_path / "out").exists()


def test_size_on_the_command_line():
    assert read_size("800x600") == (800, 600)
    with pytest.raises(ReconError, match="such as 800x600"):
        read_size("800")


def test_depth_metrics_come_from_the_set(small):
    from recon.evaluation import Rendered, evaluate_views

    views = read_spare(small, scene=scene_name(SEED, 0)).views[:2]
    by_camera = {id(view.camera): view for view in views}
    result = evaluate_views(
        views, lambda camera: Rendered(by_camera[id(camera)].image, 1.02 * by_camera[id(camera)].depth)
    ).to_json()
    assert result["depth_abs_rel"] == pytest.approx(0.02, rel=1e-3)
    assert result["depth_inliers"] == 0.0 and result["depth_coverage"] == 1.0
    assert math.isfinite(result["depth_rmse"])


def test_command_line(small, capsys):
    from recon.cli.main import main

    options = ["--scenes", "2", "--seed", str(SEED), "--views", "19", "--size", "64x48", "--samples", "2"]
    main(["synth", "spare", "-o", str(small), *options, "--workers", "1"])
    assert f"wrote {2 * VIEWS} pictures of 2 scenes" in capsys.readouterr().out
    assert json.loads((small / "synth.json").read_text())["size"] == [64, 48]
    with pytest.raises(SystemExit, match="2"):
        main(["synth", "spare", "-o", str(small), "--size", "100x100"])
    assert "must have the shape of 1600x1200" in capsys.readouterr().err
