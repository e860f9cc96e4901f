"""The photographic generator at postage-stamp size: truth, layouts, determinism, resuming, mistakes."""

import builtins
import json

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import map_coordinates

from recon.errors import ReconError
from recon.scene import Camera
from recon.synth import generate, load_recipe
from recon.synth.render import pose_at

SIZE = (32, 24)

STILL = {
    "name": "still",
    "size": [32, 24],
    "field_of_view": 45,
    "environment": {"look": "sky"},
    "lights": [{"position": [-1, -1, 2], "target": [0, 0, 0], "radiance": [3, 3, 3]}],
    "objects": [
        {
            "name": "ground",
            "shape": {"kind": "plane", "size": [6, 6]},
            "material": {"kind": "plaster"},
            "texel": 0.05,
            "foreground": False,
        },
        {
            "name": "ball",
            "shape": {"kind": "rock", "radii": [0.2, 0.2, 0.2], "roughness": 0.0},
            "material": {"kind": "mottled", "scale": 0.4, "relief": 0.0},
            "texel": 0.02,
        },
    ],
    "cameras": {
        "train": {"kind": "arc", "count": 2, "target": [0, 0, 0.2], "elevation": [30]},
        "test": {"kind": "arc", "count": 1, "target": [0, 0, 0.2], "azimuth": [5, 5], "elevation": [40]},
    },
}

CLIP = {
    **STILL,
    "name": "clip",
    "frames": 2,
    "frames_per_second": 1,
    "objects": [
        STILL["objects"][0],
        {
            **STILL["objects"][1],
            "motion": [
                {"seconds": 0, "position": [-0.2, 0, 0]},
                {"seconds": 1, "position": [0.2, 0, 0], "rotation": [0, 0, 90]},
            ],
        },
    ],
}


def test_missing_mitsuba_is_told(tmp_path, monkeypatch):
    real_import = builtins.__import__

    def without_mitsuba(name, *arguments, **keywords):
        if name == "mitsuba":
            raise ImportError(name)
        return real_import(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", without_mitsuba)
    with pytest.raises(ReconError, match=r"needs mitsuba, .*pip install 'recon\[synth\]'"):
        generate(STILL, tmp_path / "out", samples=2)


def test_motion_passes_through_its_keyframes_and_rests_outside():
    placed = load_recipe(CLIP).objects[1]
    for seconds, x in ((-1.0, -0.2), (0.0, -0.2), (0.5, 0.0), (1.0, 0.2), (3.0, 0.2)):
        assert pose_at(placed, seconds)[1][0] == pytest.approx(x, abs=1e-9)
    np.testing.assert_allclose(pose_at(placed, 1.0)[0] @ [1, 0, 0], [0, 1, 0], atol=1e-12)


@pytest.fixture(scope="module")
def still(tmp_path_factory):
    pytest.importorskip("mitsuba")
    folder = tmp_path_factory.mktemp("still") / "out"
    made = generate(STILL, folder, samples=32, colmap=True)
    assert (made.pictures, made.rendered) == (3, 3)
    return folder


def cameras_of(folder) -> dict[str, Camera]:
    """Read transforms.json back with nothing but its definition: OpenGL camera-to-world, pixels."""
    content = json.loads((folder / "transforms.json").read_text())
    cameras = {}
    for frame in content["frames"]:
        pose = np.linalg.inv(np.array(frame["transform_matrix"]) @ np.diag([1, -1, -1, 1]))
        keys = ("fl_x", "fl_y", "cx", "cy", "w", "h")
        cameras[frame["file_path"]] = Camera(pose, *(content[key] for key in keys))
    return cameras


def test_files_of_a_still_scene(still):
    split = json.loads((still / "split.json").read_text())
    assert split == {"train": ["photo_000.png", "photo_001.png"], "test": ["held_out_000.png"]}
    content = json.loads((still / "transforms.json").read_text())
    assert content["train_filenames"] == ["images/photo_000.png", "images/photo_001.png"]
    assert content["test_filenames"] == ["held_out/held_out_000.png"]
    for frame in content["frames"]:
        with Image.open(still / frame["file_path"]) as picture:
            assert picture.size == SIZE and picture.mode == "RGB"
        depth = np.load(still / frame["depth_file_path"], allow_pickle=False)
        assert depth.shape == (24, 32) and depth.dtype == np.float32
        with Image.open(still / frame["mask_path"]) as mask:
            assert set(np.unique(np.array(mask))) == {0, 255}
    assert not list(still.rglob("*.partial"))


def test_depth_is_exact_on_plane_and_sphere(still):
    """Points behind pixels lie on the ground or on the ball to a fraction of a millimetre."""
    for path, camera in cameras_of(still).items():
        name = path.rsplit("/", 1)[-1].replace(".png", "")
        depth = np.load(still / "depth" / f"{name}.npy", allow_pickle=False)
        mask = np.array(Image.open(still / "masks" / f"{name}.png")) > 0
        points = camera.unproject(camera.pixel_centers().reshape(-1, 2), depth.ravel().astype(np.float64))
        points = points.reshape(24, 32, 3)
        on_ball = np.linalg.norm(points - [0, 0, 0.2], axis=-1)
        np.testing.assert_allclose(on_ball[mask], 0.2, atol=4e-4)  # the mesh's facets are that flat
        ground = ~mask & (depth > 0)
        assert mask.sum() > 40 and ground.sum() > 100
        np.testing.assert_allclose(points[ground][:, 2], 0.0, atol=1e-4)


def test_mask_is_where_the_ball_projects(still):
    for path, camera in cameras_of(still).items():
        name = path.rsplit("/", 1)[-1].replace(".png", "")
        mask = np.array(Image.open(still / "masks" / f"{name}.png")) > 0
        pixel, _ = camera.project(np.array([[0, 0, 0.2]]))
        rows, columns = np.nonzero(mask)
        assert columns.mean() + 0.5 == pytest.approx(pixel[0, 0], abs=0.5)
        assert rows.mean() + 0.5 == pytest.approx(pixel[0, 1], abs=0.5)


def test_ground_colours_agree_between_views(still):
    """The matt ground, carried through depth from one view to the other, has the same colours there."""
    (first_path, first), (second_path, second) = list(cameras_of(still).items())[:2]
    images = [np.array(Image.open(still / path)) / 255.0 for path in (first_path, second_path)]
    depth = np.load(still / "depth" / "photo_000.npy", allow_pickle=False)
    mask = np.array(Image.open(still / "masks" / "photo_000.png")) > 0
    chosen = ~mask.ravel() & (depth.ravel() > 0)
    points = first.unproject(
        first.pixel_centers().reshape(-1, 2)[chosen], depth.ravel()[chosen].astype(float)
    )
    pixels, z = second.project(points)
    inside = ((pixels > 1) & (pixels < [31, 23])).all(axis=-1)
    other_depth = np.load(still / "depth" / "photo_001.npy", allow_pickle=False)
    at = [pixels[:, 1] - 0.5, pixels[:, 0] - 0.5]
    seen = inside & (np.abs(map_coordinates(other_depth, at, order=1, mode="nearest") / z - 1) < 0.02)
    assert seen.sum() > 100
    moved = np.stack([map_coordinates(images[1][..., c], at, order=1, mode="nearest") for c in range(3)], -1)
    difference = np.abs(moved - images[0].reshape(-1, 3)[chosen])[seen]
    assert np.median(difference) < 0.03
    assert np.corrcoef(moved[seen].mean(-1), images[0].reshape(-1, 3)[chosen][seen].mean(-1))[0, 1] > 0.8


def test_colmap_text_repeats_the_cameras(still):
    cameras = cameras_of(still)
    lines = (still / "sparse" / "0" / "images.txt").read_text().splitlines()[::2]
    assert [line.split()[-1] for line in lines] == list(cameras)
    for line in lines:
        values = [float(value) for value in line.split()[1:8]]
        np.testing.assert_allclose(values[4:], cameras[line.split()[-1]].world_to_camera[:3, 3], atol=1e-9)
    assert (still / "sparse" / "0" / "cameras.txt").read_text().startswith("1 PINHOLE 32 24 ")


def test_same_arguments_same_bytes_and_resuming(still, tmp_path):
    folder = tmp_path / "again"
    generate(STILL, folder, samples=32, colmap=True)
    names = [path.relative_to(still) for path in still.rglob("*") if path.is_file()]
    assert len(names) > 10
    for name in names:
        assert (folder / name).read_bytes() == (still / name).read_bytes(), name
    lost = folder / "images" / "photo_001.png"
    whole = lost.read_bytes()
    lost.unlink()
    kept = (folder / "images" / "photo_000.png").stat().st_mtime_ns
    made = generate(STILL, folder, samples=32, colmap=True)
    assert (made.pictures, made.rendered) == (3, 1)
    assert lost.read_bytes() == whole
    assert (folder / "images" / "photo_000.png").stat().st_mtime_ns == kept


def test_several_lamps_give_the_same_picture_every_time(tmp_path):
    pytest.importorskip("mitsuba")
    lamps = [{"position": [x, -1, 2], "target": [0, 0, 0], "radiance": [3, 3, 3]} for x in (-2, -1, 0, 1, 2)]
    pictures = set()
    for attempt in range(3):
        generate({**STILL, "lights": lamps}, tmp_path / str(attempt), samples=2, depth=False, masks=False)
        pictures.add((tmp_path / str(attempt) / "images" / "photo_000.png").read_bytes())
    assert len(pictures) == 1


def test_other_settings_need_overwrite(still, tmp_path):
    with pytest.raises(ReconError, match="made with another recipe or other settings; choose another folder"):
        generate(STILL, still, samples=16)
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(ReconError, match="holds other files"):
        generate(STILL, tmp_path, samples=2)
    assert (tmp_path / "mine.txt").read_text() == "keep"


def test_noise_is_stated_and_falls_with_samples(still, tmp_path):
    few = generate(STILL, tmp_path / "few", samples=2, depth=False, masks=False)
    stated = json.loads((still / "synth.json").read_text())["pictures"]["images/photo_000.png"]["noise"]
    assert 0 < stated < few.noise / 2
    # The stated figure is the true one: the root mean square of the difference to a much cleaner picture.
    names = [f"{folder}/images/photo_000.png" for folder in (tmp_path / "few", still)]
    noisy, clean = (np.array(Image.open(name)) / 255.0 for name in names)
    assert np.sqrt(np.mean((noisy - clean) ** 2)) == pytest.approx(few.noise, rel=0.35)
    assert not (tmp_path / "few" / "depth").exists()


def test_clip_layout_and_motion(tmp_path):
    pytest.importorskip("mitsuba")
    folder = tmp_path / "clip"
    generate(CLIP, folder, samples=2, picture_format="jpg")
    train = json.loads((folder / "train_meta.json").read_text())
    test = json.loads((folder / "test_meta.json").read_text())
    assert (train["w"], train["h"]) == SIZE
    assert train["fn"] == [["0/000000.jpg", "1/000000.jpg"], ["0/000001.jpg", "1/000001.jpg"]]
    assert train["cam_id"] == [[0, 1], [0, 1]] and test["cam_id"] == [[2], [2]]
    for name in [name for row in (*train["fn"], *test["fn"]) for name in row]:
        with Image.open(folder / "ims" / name) as picture:
            assert picture.size == SIZE
    pose = np.array(train["w2c"][0][0])
    np.testing.assert_allclose(pose, load_recipe(CLIP).train_cameras()[0].world_to_camera)
    assert np.array(train["k"][0][0])[0, 2] == 16
    camera = load_recipe(CLIP).train_cameras()[0]
    for frame, x in ((0, -0.2), (1, 0.2)):
        mask = np.array(Image.open(folder / "masks" / "0" / f"{frame:06d}.png")) > 0
        pixel, _ = camera.project(np.array([[x, 0, 0.2]]))
        assert np.nonzero(mask)[1].mean() + 0.5 == pytest.approx(pixel[0, 0], abs=0.6)


def test_exif_states_the_focal_length(tmp_path):
    pytest.importorskip("mitsuba")
    generate(STILL, tmp_path / "out", samples=2, picture_format="jpg", depth=False, masks=False)
    with Image.open(tmp_path / "out" / "images" / "photo_000.jpg") as picture:
        details = picture.getexif().get_ifd(0x8769)
    focal = load_recipe(STILL).train_cameras()[0].fx
    assert details[0xA405] / 35 * 32 == pytest.approx(focal, rel=0.02)


@pytest.mark.parametrize("name", ["tabletop", "shelf", "platform", "moving"])
@pytest.mark.slow
def test_bundled_recipes_render(name, tmp_path):
    pytest.importorskip("mitsuba")
    made = generate(name, tmp_path / name, size=SIZE, samples=2, frames=1, masks=True)
    assert made.pictures == made.rendered
    picture = np.array(Image.open(tmp_path / name / "images" / "photo_000.png")) / 255.0
    assert 0.02 < picture.mean() < 0.9 and picture.std() > 0.05


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"quality": "best"}, "quality must be one of draft, standard, high, got 'best'"),
        ({"picture_format": "bmp"}, "must be png or jpg, got 'bmp'"),
        ({"samples": 1}, "at least 2 samples per pixel, got 1"),
        ({"size": (4, 4)}, "size must be two numbers from 8 to 8192 pixels"),
        ({"frames": 3, "colmap": True}, "clip's cameras are not written as a COLMAP model"),
    ],
)
def test_mistakes_are_told(arguments, sentence, tmp_path):
    with pytest.raises(ReconError, match=sentence):
        generate(STILL, tmp_path / "out", **arguments)


def test_material_for_a_missing_part_is_told(tmp_path):
    pytest.importorskip("mitsuba")
    ball = {**STILL["objects"][1], "materials": {"lid": {"kind": "paint"}}}
    with pytest.raises(ReconError, match="object ball has no part 'lid'; its parts are body"):
        generate({**STILL, "objects": [ball]}, tmp_path / "out", samples=2)


def test_object_of_no_visible_light_is_still_a_picture(tmp_path):
    pytest.importorskip("mitsuba")
    dark = {**STILL, "environment": {"look": "dark"}, "lights": []}
    made = generate(dark, tmp_path / "out", samples=2, depth=False, masks=False)
    assert made.noise == 0.0
