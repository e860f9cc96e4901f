import json
import math

import numpy as np
import pytest

from recon.errors import ReconError
from recon.evaluation.evaluate import (
    HIGHEST_PSNR,
    METRIC_DEFINITIONS,
    Rendered,
    evaluate_views,
    load_metric_networks,
    mean_metrics,
)
from recon.evaluation.metrics import psnr, ssim
from recon.scene import Camera, Pixels, View

HEIGHT, WIDTH = 24, 32


def camera(index=0):
    pose = np.eye(4)
    pose[0, 3] = index  # so that a render function can tell the cameras apart
    return Camera(pose, 30.0, 30.0, WIDTH / 2, HEIGHT / 2, WIDTH, HEIGHT)


def picture(seed):
    return np.random.default_rng(seed).random((HEIGHT, WIDTH, 3), dtype=np.float32)


def view(name, index=0, **pixels):
    return View(name, camera(index), lambda: Pixels(picture(index), **pixels))


def render(camera):
    return Rendered(np.clip(picture(int(camera.world_to_camera[0, 3])) + 0.1, 0, 1))


def test_layout_is_that_of_metrics_json():
    result = evaluate_views([view("a.png", 0), view("b.png", 1)], render).to_json()
    assert list(result["per_image"]) == ["a.png", "b.png"]
    assert result["psnr"] == pytest.approx(
        (result["per_image"]["a.png"]["psnr"] + result["per_image"]["b.png"]["psnr"]) / 2
    )
    assert result["per_image"]["a.png"]["psnr"] == pytest.approx(psnr(render(camera(0)).image, picture(0)))
    assert result["per_image"]["b.png"]["ssim"] == pytest.approx(ssim(render(camera(1)).image, picture(1)))
    assert result["lpips"] is None and result["per_image"]["a.png"]["lpips"] is None
    assert result["average"] is None
    assert "psnr_masked" not in result
    assert set(result) - {"per_image"} <= set(METRIC_DEFINITIONS)
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_no_views_give_null_not_zero():
    assert evaluate_views([], render).to_json() == {
        "psnr": None,
        "ssim": None,
        "lpips": None,
        "per_image": {},
    }


def test_equal_pictures_fit_into_json():
    result = evaluate_views([view("a.png")], lambda _: Rendered(picture(0))).to_json()
    assert result["psnr"] == HIGHEST_PSNR and result["ssim"] == pytest.approx(1.0)
    json.dumps(result, allow_nan=False)


def test_renders_are_clipped_and_tensors_accepted():
    torch = pytest.importorskip("torch")
    overshooting = torch.from_numpy(picture(0)).requires_grad_() + (torch.from_numpy(picture(0)) > 0.99) * 7.0
    result = evaluate_views([view("a.png")], lambda _: Rendered(overshooting))
    assert result.mean["psnr"] > 40


def test_invalid_pixels_count_nowhere():
    valid = np.ones((HEIGHT, WIDTH), bool)
    valid[:, :10] = False

    def spoiled(camera):
        image = render(camera).image.copy()
        image[:, :10] = 0.0
        return Rendered(image)

    views = [view("a.png", valid=valid)]
    clean, dirty = evaluate_views(views, render), evaluate_views(views, spoiled)
    assert clean.per_image == dirty.per_image
    assert evaluate_views([view("a.png")], spoiled).mean["psnr"] < clean.mean["psnr"] - 1


def test_object_masks_give_additional_metrics():
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[4:20, 6:28] = True
    mask[4:8, 6:10] = False
    truth, image = picture(0), render(camera()).image
    views = [view("a.png", mask=mask), view("b.png", 1)]

    box = evaluate_views(views, render, masked="box").to_json()
    expected = -10 * math.log10(((image - truth)[mask].astype(float) ** 2).mean())
    assert box["per_image"]["a.png"]["psnr_masked"] == pytest.approx(expected)
    assert box["per_image"]["a.png"]["ssim_masked"] == pytest.approx(
        ssim(image[4:20, 6:28], truth[4:20, 6:28])
    )
    assert box["per_image"]["b.png"]["psnr_masked"] is None
    assert box["psnr_masked"] == box["per_image"]["a.png"]["psnr_masked"]

    white = evaluate_views(views, render, masked="white").to_json()
    on_white = [np.where(mask[..., None], x, 1.0) for x in (image, truth)]
    assert white["psnr_masked"] == pytest.approx(expected)
    assert white["per_image"]["a.png"]["ssim_masked"] == pytest.approx(ssim(*on_white))

    assert "psnr_masked" not in evaluate_views(views, render, masked=None).mean
    empty = evaluate_views([view("a.png", mask=np.zeros((HEIGHT, WIDTH), bool))], render)
    assert empty.mean["psnr_masked"] is None


def test_the_average_error_on_the_object_is_that_of_the_metrics_on_it():
    class Network:
        def accepts(self, height, width):
            return True

        def compare(self, image, truth):
            return 0.25 if image.shape[0] < HEIGHT else 0.5

    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[4:20, 6:28] = True
    networks = {"vgg": Network(), "alex": None}
    found = evaluate_views([view("a.png", mask=mask)], render, lpips=networks).mean
    assert found["lpips"] == 0.5 and found["lpips_masked"] == 0.25 and found["lpips_alex_masked"] is None
    terms = (10 ** (-found["psnr_masked"] / 10), math.sqrt(1 - found["ssim_masked"]), 0.25)
    assert found["average_masked"] == pytest.approx(math.prod(terms) ** (1 / 3))


def test_masks_are_cut_by_validity():
    mask, valid = np.zeros((2, HEIGHT, WIDTH), bool)
    mask[5:15, 5:25] = True
    valid[:, :20] = True
    both = mask & valid
    result = evaluate_views([view("a.png", mask=mask, valid=valid)], render).mean["psnr_masked"]
    error = (render(camera()).image - picture(0))[both].astype(float)
    assert result == pytest.approx(-10 * math.log10((error**2).mean()))


def test_depth_where_truth_exists():
    truth = np.full((HEIGHT, WIDTH), 2.0)

    def with_depth(camera):
        return Rendered(render(camera).image, depth=np.full((HEIGHT, WIDTH), 2.1, np.float32))

    views = [view("a.png", 0), view("b.png", 1)]
    result = evaluate_views(views, with_depth, depths={"a.png": truth})
    assert result.per_image["a.png"]["depth_abs_rel"] == pytest.approx(0.05, abs=1e-6)
    assert result.per_image["a.png"]["depth_inliers"] == 0.0
    assert result.per_image["b.png"]["depth_abs_rel"] is None
    assert result.mean["depth_rmse"] == pytest.approx(0.1, abs=1e-6)


class Distance:
    """Stands in for a network: what it returns can be worked out by hand."""

    def accepts(self, height, width):
        return min(height, width) >= 16

    def compare(self, image, truth):
        return float(np.abs(image - truth).mean())


def test_lpips_is_measured_on_picture_and_object():
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[2:20, 3:23] = True
    result = evaluate_views([view("a.png", mask=mask)], render, lpips={"vgg": Distance(), "alex": None}).mean
    residual = np.abs(render(camera()).image - picture(0))
    assert result["lpips"] == pytest.approx(residual.mean())
    assert result["lpips_masked"] == pytest.approx(residual[2:20, 3:23].mean())
    assert result["lpips_alex"] is None
    assert result["average"] is not None
    mask[8:] = False  # now the box is too small for the network
    assert (
        evaluate_views([view("a.png", mask=mask)], render, lpips={"vgg": Distance()}).mean["lpips_masked"]
        is None
    )


def test_networks_are_none_without_weights(tmp_path, monkeypatch):
    monkeypatch.setenv("RECON_MODELS", str(tmp_path))
    assert load_metric_networks() == {"vgg": None, "alex": None}


def test_on_view_sees_every_render_once():
    seen = []
    evaluate_views(
        [view("a.png", 0), view("b.png", 1)],
        render,
        on_view=lambda v, r: seen.append((v.name, r.image.shape)),
    )
    assert seen == [("a.png", (HEIGHT, WIDTH, 3)), ("b.png", (HEIGHT, WIDTH, 3))]


def test_broken_renders_are_refused():
    with pytest.raises(ReconError, match=r"a.png has shape \(2, 2, 3\), expected \(24, 32, 3\)"):
        evaluate_views([view("a.png")], lambda _: Rendered(np.zeros((2, 2, 3))))
    with pytest.raises(ReconError, match="NaN"):
        evaluate_views([view("a.png")], lambda _: Rendered(np.full((HEIGHT, WIDTH, 3), np.nan)))


def test_mean_skips_what_is_missing():
    means = mean_metrics(
        {"a": {"psnr": 20.0, "lpips": None}, "b": {"psnr": 30.0, "lpips": None}, "c": {"psnr": None}}
    )
    assert means == {"psnr": 25.0, "ssim": None, "lpips": None}
