from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from recon.errors import ReconError
from recon.evaluation import pictures
from recon.evaluation.pictures import (
    ColorScale,
    color_table,
    colorize,
    difference_picture,
    picture_path,
    read_color_scale,
    read_picture,
    write_confidence_picture,
    write_depth_picture,
    write_picture,
)

HOSTILE = [
    "../../etc/passwd",
    "/etc/passwd",
    "a/b.jpg",
    "<script>.jpg",
    "..",
    ".",
    "",
    "C:\\x.jpg",
    "x\x00y",
    ".hidden",
    "a?b*c|d",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_every_name_stays_inside_of_its_folder(tmp_path, name):
    path = picture_path(tmp_path, "renders/test", name)
    assert path.parent == tmp_path / "renders" / "test"
    assert path.resolve().is_relative_to(tmp_path.resolve())
    write_picture(path, np.zeros((2, 2, 3), np.uint8))
    assert path.is_file()


def test_names_do_not_collide():
    names = [*HOSTILE, "a.jpg", "a.png", "a", "a%2Fb.jpg", "%2E"]
    assert len({picture_path(Path("run"), "depth", name) for name in names}) == len(names)


def test_plain_names_keep_their_name():
    assert picture_path(Path("run"), "depth", "IMG 1.jpg", "_stereo") == Path(
        "run/depth/IMG 1.jpg_stereo.png"
    )


def test_pictures_come_back(tmp_path):
    image = np.random.default_rng(0).random((5, 7, 3), dtype=np.float32)
    image[0, 0] = (-1.0, 2.0, np.nan)
    write_picture(tmp_path / "new" / "a.png", image)
    expected = np.rint(np.clip(np.nan_to_num(image), 0, 1) * 255).astype(np.uint8)
    assert np.array_equal(np.asarray(read_picture(tmp_path / "new" / "a.png")), expected)


def test_depth_carries_its_scale_and_unknown_is_black(tmp_path):
    depth = np.linspace(2.0, 4.0, 200).reshape(10, 20)
    depth[3, 4] = 0.0
    path = tmp_path / "depth.png"
    write_depth_picture(path, depth, near=2.0, far=4.0)
    assert read_color_scale(path) == ColorScale(2.0, 4.0, "turbo")
    colors = np.asarray(read_picture(path))
    assert (colors[3, 4] == 0).all()
    assert np.array_equal(colors[0, 0], color_table("turbo")[0])
    assert np.array_equal(colors[-1, -1], color_table("turbo")[255])


def test_depth_scale_ignores_outliers(tmp_path):
    depth = np.random.default_rng(0).uniform(2.0, 4.0, (40, 50))
    depth[0, :5] = 1e6
    write_depth_picture(tmp_path / "depth.png", depth)
    scale = read_color_scale(tmp_path / "depth.png")
    assert 1.9 < scale.low < 2.1 and 3.9 < scale.high < 4.1


def test_depth_that_knows_nothing(tmp_path):
    write_depth_picture(tmp_path / "depth.png", np.zeros((3, 4)))
    assert not np.asarray(read_picture(tmp_path / "depth.png")).any()


def test_confidence(tmp_path):
    write_confidence_picture(tmp_path / "c.png", np.array([[0.0, 1.0]]))
    assert read_color_scale(tmp_path / "c.png") == ColorScale(0.0, 1.0, "viridis")


def test_a_picture_without_or_with_a_senseless_scale_has_none(tmp_path):
    write_picture(tmp_path / "a.png", np.zeros((2, 2, 3), np.uint8))
    assert read_color_scale(tmp_path / "a.png") is None
    assert read_color_scale(tmp_path / "absent.png") is None
    from PIL.PngImagePlugin import PngInfo

    for low, ramp in (("nan", "turbo"), ("0", "no such ramp"), ("zero", "turbo")):
        text = PngInfo()
        for key, value in (("low", low), ("high", "1"), ("ramp", ramp)):
            text.add_text(f"recon:{key}", value)
        Image.new("RGB", (2, 2)).save(tmp_path / "b.png", pnginfo=text)
        assert read_color_scale(tmp_path / "b.png") is None


def test_colorize_clips_and_orders():
    colors = colorize(np.array([[-5.0, 0.0, 0.5, 1.0, 9.0, np.nan]]), ColorScale(0.0, 1.0, "viridis"))
    table = color_table("viridis")
    assert np.array_equal(colors[0, [0, 1, 3, 4]], table[[0, 0, 255, 255]])
    assert np.array_equal(colors[0, 2], table[128])


def test_difference_saturates_at_one_over_the_gain():
    truth = np.zeros((1, 3, 3), np.uint8)
    render = truth.copy()
    render[0, 1], render[0, 2] = 64, 32  # 0.251 and 0.125: above a quarter, and half of it
    table = color_table("inferno")
    assert np.array_equal(difference_picture(render, truth, gain=4.0)[0], table[[0, 255, 128]])
    assert np.array_equal(difference_picture(render, truth), difference_picture(truth, render))


def test_unreadable_and_huge_pictures_are_refused(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    with pytest.raises(ReconError, match="not a readable picture"):
        read_picture(tmp_path / "a.png")
    write_picture(tmp_path / "b.png", np.zeros((20, 20, 3), np.uint8))
    monkeypatch.setattr(pictures, "MAX_PIXELS", 399)
    with pytest.raises(ReconError, match="20x20 pixels"):
        read_picture(tmp_path / "b.png")
