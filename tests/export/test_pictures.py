"""Pictures: bytes, scales and the way back from 16-bit depth."""

import numpy as np
import pytest
import torch
from matplotlib import colormaps
from PIL import Image

from recon.errors import ReconError
from recon.evaluation.pictures import ColorScale, read_color_scale
from recon.export.pictures import (
    exact_depth_path,
    read_depth,
    write_confidence,
    write_depth,
    write_image,
    write_normals,
)


def test_image_is_rounded_and_clipped(tmp_path):
    values = torch.tensor([[[0.0, 1.0, 0.5], [-1.0, 2.0, float("nan")]]])
    write_image(tmp_path / "a.png", values)
    assert np.asarray(Image.open(tmp_path / "a.png")).tolist() == [[[0, 255, 128], [0, 255, 0]]]
    write_image(tmp_path / "b.png", np.full((2, 3, 4), 0.25))
    assert Image.open(tmp_path / "b.png").mode == "RGBA"


def test_depth_comes_back(tmp_path):
    depth = np.random.default_rng(0).uniform(0.01, 40, (30, 50)).astype(np.float32)
    depth[3:6] = 0
    depth[7, 7] = np.nan
    depth[0, 0] = 1e-6  # less than half a step, yet known
    write_depth(tmp_path / "photo.jpg.png", torch.from_numpy(depth))
    back = read_depth(tmp_path / "photo.jpg.png")
    known = np.nan_to_num(depth) > 0
    assert ((back > 0) == known).all()
    assert np.abs(back - depth)[known][1:].max() <= depth[known].max() / 131070 * 1.001
    np.testing.assert_array_equal(read_depth(tmp_path / "photo.jpg_16bit.png"), back)


def test_depth_preview_states_its_scale(tmp_path):
    depth = np.linspace(1, 3, 200).reshape(10, 20)
    depth[0, 0] = 0
    write_depth(tmp_path / "a.png", depth)
    with Image.open(tmp_path / "a.png") as picture:
        low, high, ramp = (picture.text[f"recon:{key}"] for key in ("low", "high", "ramp"))
        pixels = np.asarray(picture)
    assert read_color_scale(tmp_path / "a.png") == ColorScale(float(low), float(high), "turbo")
    assert ramp == "turbo" and 1 < float(low) < 1.05 and 2.95 < float(high) < 3
    assert pixels[0, 0].tolist() == [0, 0, 0]
    for row, column in ((0, 5), (4, 4), (9, 19)):
        share = np.clip((depth[row, column] - float(low)) / (float(high) - float(low)), 0, 1)
        expected = np.array(colormaps["turbo"](round(share * 255))[:3]) * 255
        assert np.abs(pixels[row, column] - expected).max() <= 1


def test_nothing_known_and_constant_depth(tmp_path):
    write_depth(tmp_path / "a.png", np.zeros((4, 5)))
    assert not read_depth(tmp_path / "a.png").any()
    write_depth(tmp_path / "b.png", np.full((4, 5), 2.0))
    np.testing.assert_allclose(read_depth(tmp_path / "b.png"), 2.0)


def test_normals_have_the_usual_colours(tmp_path):
    normals = np.array([[[0, 0, -1.0], [1, 0, 0], [0, -1, 0], [0, 0, 0]]])
    write_normals(tmp_path / "a.png", normals)
    pixels = np.asarray(Image.open(tmp_path / "a.png"))
    assert pixels.tolist() == [[[128, 128, 255], [255, 128, 128], [128, 255, 128], [0, 0, 0]]]


def test_confidence(tmp_path):
    write_confidence(tmp_path / "a.png", np.array([[0.0, 1.0, 2.0]]))
    pixels = np.asarray(Image.open(tmp_path / "a.png"))
    assert pixels.tolist() == [[[68, 1, 84], [253, 231, 37], [253, 231, 37]]]


def test_other_pictures_are_no_depth(tmp_path):
    write_image(exact_depth_path(tmp_path / "a.png"), np.zeros((2, 2, 3)))
    with pytest.raises(ReconError, match="is not a depth picture"):
        read_depth(tmp_path / "a.png")
    (tmp_path / "b_16bit.png").write_text("hello")
    with pytest.raises(ReconError, match="is not a readable picture"):
        read_depth(tmp_path / "b_16bit.png")
    with pytest.raises(ReconError, match="is not a readable picture"):
        read_depth(tmp_path / "missing.png")


@pytest.mark.parametrize("write", [write_image, write_depth, write_confidence, write_normals])
def test_shapes_are_checked(tmp_path, write):
    with pytest.raises(ValueError, match=r"expected shape .*, got \(3,\)"):
        write(tmp_path / "a.png", np.zeros(3))
    assert not list(tmp_path.iterdir())
