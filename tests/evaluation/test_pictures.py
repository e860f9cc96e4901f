from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

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


def save(path, size=(2, 2), **scale):
    """Write a black picture that carries a scale."""
    text = PngInfo()
    for key, value in scale.items():
        text.add_text(f"recon:{key}", value)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(path, pnginfo=text)


@pytest.mark.parametrize("name", HOSTILE)
def test_every_name_stays_inside_of_its_folder(tmp_path, name):
    path = picture_path(tmp_path, "renders/test", name)
    assert path.parent == tmp_path / "renders" / "test"
    assert path.resolve().is_relative_to(tmp_path.resolve())
    save(path)
    assert path.is_file()


def test_names_do_not_collide():
    names = [*HOSTILE, "a.jpg", "a.png", "a", "a%2Fb.jpg", "%2E"]
    assert len({picture_path(Path("run"), "depth", name) for name in names}) == len(names)


def test_plain_names_keep_their_name():
    assert picture_path(Path("run"), "depth", "IMG 1.jpg", "_stereo") == Path(
        "run/depth/IMG 1.jpg_stereo.png"
    )


def test_a_coloured_picture_tells_its_scale(tmp_path):
    save(tmp_path / "depth.png", (3, 4), low="2.5", high="4", ramp="turbo")
    assert read_color_scale(tmp_path / "depth.png") == ColorScale(2.5, 4.0, "turbo")


def test_a_picture_without_or_with_a_senseless_scale_has_none(tmp_path):
    save(tmp_path / "a.png")
    assert read_color_scale(tmp_path / "a.png") is None
    assert read_color_scale(tmp_path / "absent.png") is None
    for low, ramp in (("nan", "turbo"), ("0", "no such ramp"), ("zero", "turbo")):
        save(tmp_path / "b.png", low=low, high="1", ramp=ramp)
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
    save(tmp_path / "b.png", (20, 20))
    monkeypatch.setattr(pictures, "MAX_PIXELS", 399)
    with pytest.raises(ReconError, match="20x20 pixels"):
        read_picture(tmp_path / "b.png")
