"""The training loop: it learns, repeats itself exactly, resumes exactly, and stops when told to."""

import pytest
import torch

from recon.errors import ReconError
from recon.losses import DepthTerm, PhotometricTerm
from recon.splats import Gaussians
from recon.splats.render import render
from recon.train import LearningRates, OptimizedGaussians, Trainer, TrainSettings, ViewSampler, training_view
from recon.train.camera_refinement import CameraRefinement, CameraRefinementSettings, se3_exp
from recon.train.checkpoint import load_checkpoint, save_checkpoint
from recon.train.rules import DensityControl, DensitySettings, DropoutSettings, GuidedDropout, OpacityDecay
from recon.train.trainer import LossWindow


def start_from_truth(scene, depths, stride: int = 2, sh_degree: int = 1) -> Gaussians:
    """One Gaussian per few pixels of the true surface, grey: the shape is right, the colours are to be learnt."""
    points, sizes = [], []
    for view in scene.train_views:
        pixels = view.camera.pixel_centers()[::stride, ::stride].reshape(-1, 2)
        depth = depths[view.name][::stride, ::stride].reshape(-1)
        known = depth > 0
        points.append(
            torch.as_tensor(view.camera.unproject(pixels[known], depth[known]), dtype=torch.float32)
        )
        sizes.append(torch.as_tensor(stride * 0.6 * depth[known] / view.camera.fx, dtype=torch.float32))
    means, size = torch.cat(points), torch.cat(sizes)
    return Gaussians(
        means=means,
        log_scales=size.log()[:, None].repeat(1, 3),
        quaternions=torch.tensor([1.0, 0, 0, 0]).repeat(len(means), 1),
        opacity_logits=torch.full((len(means),), 1.0),
        sh=torch.zeros(len(means), (sh_degree + 1) ** 2, 3),
    )


def make_trainer(raycast, iterations: int = 60, seed: int = 0, **options) -> Trainer:
    scene, depths = raycast.scene, raycast.depths
    generator = torch.Generator().manual_seed(seed)
    gaussians = OptimizedGaussians(
        start_from_truth(scene, depths), LearningRates(sh_constant=0.02), pixel_size=0.02
    )
    photos = [
        training_view(
            view,
            depth=torch.as_tensor(depths[view.name], dtype=torch.float32),
            depth_weight=torch.ones(view.camera.height, view.camera.width),
        )
        for view in scene.train_views
    ]
    settings = TrainSettings(
        iterations=iterations, sh_degree=1, sh_every=20, log_every=10, checkpoint_every=20
    )
    options.setdefault("cameras", None)
    return Trainer(
        gaussians,
        ViewSampler(photos, generator),
        settings,
        terms=[PhotometricTerm(), DepthTerm()],
        rules=[
            DensityControl(DensitySettings(every=10, gradient=1e-4), gaussians, max_gaussians=6000),
            OpacityDecay(0.5),
        ],
        dropout=GuidedDropout(DropoutSettings(refresh=7)),
        generator=generator,
        **options,
    )


def psnr(gaussians: Gaussians, view) -> float:
    picture = render(gaussians, view.camera).color
    return float(-10 * torch.log10((picture - torch.as_tensor(view.image)).square().mean()))


def test_view_space_gradients_are_made_only_while_something_can_grow(textured_scene):
    trainer = make_trainer(textured_scene, iterations=60)
    view = trainer.sampler.photos[0]
    assert trainer.render(view)[1] is not None
    trainer.iteration = 30  # DensitySettings.stop is half of the training
    assert trainer.render(view)[1] is None


def test_dropout_keeps_a_views_weights_for_a_while_and_in_its_state(textured_scene):
    def weights(dropout, view):
        return dropout._drop_weights(trainer.gaussians, view, torch.zeros(3))

    trainer = make_trainer(textured_scene)
    dropout, resumed = trainer.dropout, GuidedDropout(DropoutSettings())
    first = weights(dropout, "a")
    with torch.no_grad():
        trainer.gaussians.leaves["means"] += torch.tensor([0.0, 0.0, 5.0]) * torch.rand(len(first), 1)
    assert torch.equal(weights(dropout, "a"), first)
    assert not torch.equal(weights(dropout, "b"), first)
    resumed.load_state(dropout.state())
    assert torch.equal(weights(resumed, "a"), first)
    trainer.gaussians.steps += GuidedDropout.KEEP_WEIGHTS
    assert not torch.equal(weights(dropout, "a"), first)


def test_training_learns_the_held_out_view(textured_scene):
    trainer = make_trainer(textured_scene, iterations=120)
    view = textured_scene.scene.test_views[0]
    before = psnr(trainer.gaussians.gaussians.detach(), view)
    records = []
    trainer.callbacks.append(lambda _, record: records.append(record))
    trainer.run()
    after = psnr(trainer.gaussians.gaussians.detach(), view)
    assert after > before + 6
    assert [record.iteration for record in records] == list(range(10, 121, 10))
    assert records[-1].loss < records[0].loss


def test_the_same_seed_gives_the_same_result_and_another_does_not(textured_scene):
    results = []
    for seed in (1, 1, 2):
        trainer = make_trainer(textured_scene, iterations=25, seed=seed)
        trainer.run()
        results.append(trainer.gaussians.gaussians.detach())
    assert torch.equal(results[0].means, results[1].means)
    assert len(results[0]) != len(results[2]) or not torch.equal(results[0].means, results[2].means)


class StopAt:
    """A control that ends the training at an iteration, and counts how often it was asked."""

    def __init__(self, iteration: int) -> None:
        self.iteration = iteration
        self.asked = 0

    def after_step(self, trainer, loss, step) -> bool:
        self.asked += 1
        return trainer.iteration < self.iteration


def test_a_control_ends_the_training_cleanly(textured_scene, tmp_path):
    records = []
    trainer = make_trainer(
        textured_scene, control=StopAt(13), callbacks=[lambda _, record: records.append(record)]
    )
    trainer.save_checkpoint = lambda current: save_checkpoint(current, tmp_path, "settings")
    trainer.run()
    assert trainer.stopped_early and trainer.iteration == trainer.control.asked == 13
    assert [record.iteration for record in records] == [10, 13], "the last iteration is reported"
    resumed = make_trainer(textured_scene)
    assert load_checkpoint(resumed, tmp_path, "settings") and resumed.iteration == 13


def test_a_control_changes_nothing_while_it_lets_the_training_go_on(textured_scene):
    alone, watched = make_trainer(textured_scene, 20), make_trainer(textured_scene, 20, control=StopAt(20))
    alone.run()
    watched.run()
    assert not watched.stopped_early, "the last iteration was done anyway"
    assert torch.equal(alone.gaussians.gaussians.means, watched.gaussians.gaussians.means)


@pytest.mark.parametrize("interrupted_at", [20, 40])
def test_a_resumed_run_continues_bit_exactly(textured_scene, tmp_path, interrupted_at):
    whole = make_trainer(textured_scene)
    whole.run()

    first = make_trainer(textured_scene)
    first.save_checkpoint = lambda trainer: save_checkpoint(trainer, tmp_path, "settings")
    while first.iteration < interrupted_at:
        first.step()
    first.save_checkpoint(first)
    for _ in range(3):
        first.step()  # lost with the process

    second = make_trainer(textured_scene, seed=99)  # whatever it starts from is replaced
    assert load_checkpoint(second, tmp_path, "settings")
    assert second.iteration == interrupted_at
    second.run()
    for name, tensor in whole.state().items():
        if name != "trainer.seconds":
            assert torch.equal(tensor, second.state()[name]), name


def test_a_checkpoint_of_other_settings_is_refused(textured_scene, tmp_path):
    trainer = make_trainer(textured_scene)
    assert not load_checkpoint(trainer, tmp_path, "a")
    save_checkpoint(trainer, tmp_path, "a")
    with pytest.raises(ReconError, match="other settings"):
        load_checkpoint(trainer, tmp_path, "b")


def test_a_damaged_checkpoint_is_told(textured_scene, tmp_path):
    trainer = make_trainer(textured_scene)
    save_checkpoint(trainer, tmp_path, "a")
    file = tmp_path / "latest.safetensors"
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(ReconError, match="damaged"):
        load_checkpoint(trainer, tmp_path, "a")


def test_camera_refinement_recovers_a_disturbed_camera(textured_scene):
    raycast = textured_scene
    trainer = make_trainer(raycast, iterations=1)
    photos = trainer.sampler.photos
    settings = CameraRefinementSettings(enabled=True, rotation=5e-4, translation=5e-4, start=0.0)
    trainer.run()  # colours are still grey: learn them first with the right cameras
    learner = make_trainer(raycast, iterations=150)
    learner.run()

    turn = se3_exp(torch.tensor([0.03, -0.02, 0.02, 0.008, -0.006, 0.004]))
    truth = photos[1].world_to_camera.clone()
    photos[1].world_to_camera.copy_(turn @ truth)
    cameras = CameraRefinement(photos, settings, median_depth=3.0)
    refiner = Trainer(
        learner.gaussians,
        ViewSampler([photos[1]], learner.generator),
        TrainSettings(iterations=150, sh_degree=1, sh_every=1),
        terms=[PhotometricTerm()],
        cameras=cameras,
        generator=learner.generator,
    )
    refiner.gaussians.rates = LearningRates(*[0.0] * 7)  # only the camera may move

    def error() -> float:
        pose, _ = cameras.refined(photos[1])
        return float((pose.detach() - truth).abs().max())

    before = error()
    refiner.run()
    assert error() < 0.35 * before
    photos[1].world_to_camera.copy_(truth)


def test_se3_exp_is_a_rigid_transform_with_a_gradient_at_zero():
    twist = torch.zeros(6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(se3_exp, (twist,))
    rotation = se3_exp(torch.tensor([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], dtype=torch.float64))[:3, :3]
    torch.testing.assert_close(rotation @ rotation.T, torch.eye(3, dtype=torch.float64))


def test_the_loss_window_stops_only_when_the_loss_no_longer_falls():
    window = LossWindow(4)
    falling = [window.add(torch.tensor(1.0 - 0.01 * i)) for i in range(20)]
    assert not any(falling)
    flat = [window.add(torch.tensor(0.8)) for i in range(8)]
    assert any(flat)
    assert not any(LossWindow(0).add(torch.tensor(1.0)) for _ in range(10))


def test_views_come_once_per_round_and_virtual_ones_in_between(textured_scene):
    photos = [training_view(view) for view in textured_scene.scene.train_views]
    virtual = [training_view(view) for view in textured_scene.scene.test_views]
    sampler = ViewSampler(photos, torch.Generator().manual_seed(0), virtual=virtual, virtual_every=3)
    drawn = [sampler.next(i, virtual_until=15).name for i in range(22)]
    made_up = {view.name for view in virtual}
    assert all((name in made_up) == (i % 3 == 2 and i < 15) for i, name in enumerate(drawn))
    real = [name for name in drawn if name not in made_up]
    assert sorted(real[: len(photos)]) == sorted(view.name for view in photos)
