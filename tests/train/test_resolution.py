"""Smaller pictures first: they are the photos' averages, seen by the same cameras, and resuming forgets nothing."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from recon.train import TrainingView
from recon.train.checkpoint import load_checkpoint, save_checkpoint
from recon.train.resolution import ResolutionSchedule, ResolutionSettings, reduced
from recon.train.views import training_view
from tests.train.test_trainer import make_trainer

HALF = ResolutionSettings(coarse_until=0.5)


def made_up_view(width: int = 24, height: int = 20, **changes) -> TrainingView:
    view = TrainingView(
        "made up",
        torch.rand(height, width, 3, generator=torch.Generator().manual_seed(0)),
        torch.eye(4),
        torch.tensor([30.0, 31.0, 11.0, 9.0]),
    )
    return replace(view, **changes)


def test_a_smaller_picture_is_the_mean_of_the_areas_that_its_pixels_cover():
    view = made_up_view()
    small = reduced(view, 2)
    assert (small.width, small.height) == (12, 10)
    expected = F.avg_pool2d(view.image.permute(2, 0, 1)[None], 2)[0].permute(1, 2, 0)
    torch.testing.assert_close(small.image, expected)


def test_the_camera_shrinks_with_the_picture(textured_scene):
    view = training_view(textured_scene.scene.train_views[0])
    small = reduced(view, 3)

    def place(of: TrainingView) -> tuple[float, float]:
        """Where the point (0.3, -0.2, 5) of the camera's axes is, as shares of the picture's sides."""
        fx, fy, cx, cy = of.intrinsics.tolist()
        return (fx * 0.06 + cx) / of.width, (fy * -0.04 + cy) / of.height

    assert (small.width, small.height) == (32, 24)
    assert place(small) == pytest.approx(place(view), abs=1e-6)
    assert torch.equal(small.world_to_camera, view.world_to_camera) and small.name == view.name


def test_a_picture_that_was_matched_whole_stays_as_it_is():
    view = made_up_view()
    assert reduced(view, 1) is view and reduced(view, 0.5) is view


def test_a_smaller_pixel_has_a_picture_only_where_its_whole_area_has_one():
    weight = torch.ones(20, 24)
    weight[:3] = 0
    small = reduced(made_up_view(weight=weight), 2)
    assert small.weight is not None
    assert not small.weight[:2].any(), "the second row is half covered"
    assert (small.weight[2:] == 1).all()


def test_depth_is_never_between_two_surfaces():
    depth = torch.full((20, 24), 2.0)
    depth[:, 13:] = 8.0
    small = reduced(made_up_view(depth=depth, depth_weight=depth / 8), 2)
    assert small.depth is not None and small.depth_weight is not None
    assert small.depth.shape == small.depth_weight.shape == (10, 12)
    assert set(small.depth.unique().tolist()) == {2.0, 8.0}
    assert torch.equal(small.depth_weight, small.depth / 8)


def test_the_schedule_goes_over_to_the_whole_picture_and_keeps_no_copy():
    view = made_up_view()
    schedule = ResolutionSchedule(HALF, 2)
    assert schedule.at(view, 0.0).width == 12
    assert schedule.at(view, 0.49) is schedule.at(view, 0.1), "a picture is averaged once"
    assert schedule.at(view, 0.5) is view
    assert not schedule._smaller
    assert ResolutionSchedule(ResolutionSettings(coarse_until=0.0), 2).at(view, 0.0) is view


def test_the_trainer_renders_at_the_size_of_the_schedule(textured_scene):
    trainer = make_trainer(textured_scene, iterations=4, resolution=ResolutionSchedule(HALF, 2))
    sizes = [trainer.step()[1].rendering.color.shape[:2] for _ in range(4)]
    assert [tuple(size) for size in sizes] == [(36, 48), (36, 48), (72, 96), (72, 96)]


@pytest.mark.parametrize("interrupted_at", [20, 40])
def test_a_resumed_run_continues_bit_exactly_before_and_after_the_change_of_size(
    textured_scene, tmp_path, interrupted_at
):
    def trainer():
        return make_trainer(textured_scene, resolution=ResolutionSchedule(HALF, 2))

    whole, first, second = trainer(), trainer(), trainer()
    whole.run()
    while first.iteration < interrupted_at:
        first.step()
    save_checkpoint(first, tmp_path, "settings")
    assert load_checkpoint(second, tmp_path, "settings") and second.iteration == interrupted_at
    second.run()
    for name, tensor in whole.gaussians.gaussians.tensors().items():
        assert torch.equal(tensor, second.gaussians.gaussians.tensors()[name]), name
