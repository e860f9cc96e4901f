"""The training loop that every method shares."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from recon import ops
from recon.splats import Gaussians
from recon.train.camera_refinement import CameraRefinement
from recon.train.multisampling import Multisampling, pooled
from recon.train.parameters import LearningRates
from recon.train.resolution import ResolutionSchedule
from recon.train.views import TrainingView, ViewSampler


@dataclass(frozen=True)
class TrainSettings:
    """How long and how fast to train; what a method adds to it is in the method's own config."""

    iterations: int = 3000
    """Number of optimisation steps."""
    rates: LearningRates = field(default_factory=LearningRates)
    """Step sizes per attribute."""
    sh_degree: int = 3
    """Highest spherical-harmonic degree of the colour."""
    sh_every: int = 1000
    """The degree in use grows by one each time this many iterations have passed."""
    sh_start: float = 0.0
    """Fraction of the training from which those iterations count."""
    antialiased: bool = False
    """Render with opacity compensation for the screen-space dilation (Mip-Splatting)."""
    random_background: bool = False
    """Render over a new random colour each step, so that transparency cannot imitate a fixed background."""
    virtual_every: int = 3
    """One step in this many uses a virtual view, where the method makes any."""
    virtual_until: float = 1.0
    """Fraction of the training after which virtual views are no longer used."""
    log_every: int = 50
    """Iterations between two progress records."""
    checkpoint_every: int = 500
    """Iterations between two checkpoints; 0 for none."""
    early_stop: int = 0
    """Stop when the mean loss of this many iterations has not fallen by 0.2 % in the next as many; 0 to never stop."""


class GaussianSource(Protocol):
    """What the trainer optimises: anything that yields Gaussians and learns from their gradients.

    `OptimizedGaussians` holds them as they are; `recon.coherence.RayGaussians` computes them from networks.

    Attributes:
        steps: updates so far.
    """

    steps: int

    @property
    def gaussians(self) -> Gaussians:
        """The current Gaussians, connected to what is optimised."""
        ...

    def __len__(self) -> int: ...

    def step(self, progress: float, visible: Tensor | None) -> None:
        """Update from the gradients of the last loss and clear them."""
        ...

    def state(self) -> dict[str, Tensor]: ...

    def load_state(self, state: dict[str, Tensor]) -> None: ...


class LossTerm(Protocol):
    """One summand of the objective, its weight included; returns None where it does not apply to the view."""

    outputs: ClassVar[tuple[str, ...]]

    def __call__(
        self, rendering: ops.Rasterization, view: TrainingView, progress: float
    ) -> Tensor | None: ...


class Dropout(Protocol):
    """Scales opacities at random while training."""

    def factors(
        self,
        gaussians: GaussianSource,
        view: str,
        camera_center: Tensor,
        progress: float,
        generator: torch.Generator,
    ) -> Tensor | None: ...

    def state(self) -> dict[str, Tensor]: ...

    def load_state(self, state: dict[str, Tensor]) -> None: ...


class Rule(Protocol):
    """Something done to the Gaussians after a step: density control, opacity decay."""

    def needs_screen_gradients(self, progress: float) -> bool: ...

    def after_step(self, trainer: Trainer, step: Step) -> None: ...

    def state(self) -> dict[str, Tensor]: ...

    def load_state(self, state: dict[str, Tensor]) -> None: ...


class Control(Protocol):
    """Someone who may look at the trainer after every iteration, keep it waiting, and end the training."""

    def after_step(self, trainer: Trainer, loss: Tensor, step: Step) -> bool:
        """Return false to end the training here; what has been learnt stays."""
        ...


@dataclass(eq=False)
class Step:
    """What a rule may look at: the view, its rendering and the view-space gradients (pixels, [N, 2])."""

    view: TrainingView
    rendering: ops.Rasterization
    screen_gradients: Tensor | None


@dataclass(frozen=True)
class StepRecord:
    """A line of progress."""

    iteration: int
    iterations: int
    seconds: float
    loss: float
    psnr: float
    gaussians: int


Callback = Callable[["Trainer", StepRecord], None]


class Trainer:
    """Fits Gaussians to pictures.

    Everything that a later step depends on (parameters, moments, rules' statistics, view order, random numbers) is in
    `state()`, so that a resumed run continues bit-exactly on the CPU.
    """

    def __init__(
        self,
        gaussians: GaussianSource,
        sampler: ViewSampler,
        settings: TrainSettings,
        *,
        terms: Sequence[LossTerm],
        rules: Sequence[Rule] = (),
        dropout: Dropout | None = None,
        cameras: CameraRefinement | None = None,
        multisampling: Multisampling | None = None,
        resolution: ResolutionSchedule | None = None,
        background: Tensor | None = None,
        generator: torch.Generator,
        callbacks: Sequence[Callback] = (),
        save_checkpoint: Callable[[Trainer], None] | None = None,
        control: Control | None = None,
    ) -> None:
        self.gaussians = gaussians
        self.sampler = sampler
        self.settings = settings
        self.terms = list(terms)
        self.rules = list(rules)
        self.dropout = dropout
        self.cameras = cameras
        self.multisampling = multisampling
        self.resolution = resolution
        self.background = background
        self.generator = generator
        self.callbacks = list(callbacks)
        self.save_checkpoint = save_checkpoint
        self.control = control
        self.stopped_early = False
        self.iteration = 0
        self.seconds = 0.0
        self._window = LossWindow(settings.early_stop)

    @property
    def progress(self) -> float:
        """Fraction of the training that is done."""
        return self.iteration / max(1, self.settings.iterations)

    @property
    def sh_degree(self) -> int:
        """Spherical-harmonic degree in use now."""
        counted = self.iteration - int(self.settings.sh_start * self.settings.iterations)
        return min(self.settings.sh_degree, max(0, counted // max(1, self.settings.sh_every)))

    def run(self) -> None:
        """Train to the end, calling the callbacks and saving checkpoints on the way.

        The end is the last iteration, a loss that has stopped falling (`early_stop`), or the control's word; only the
        last sets `stopped_early`.
        """
        settings = self.settings
        while self.iteration < settings.iterations:
            started = time.perf_counter()
            loss, step = self.step()
            self.seconds += time.perf_counter() - started
            stop = self._window.add(loss)
            last = stop or self.iteration == settings.iterations
            if self.control is not None and not self.control.after_step(self, loss, step) and not last:
                stop = last = self.stopped_early = True
            if last or self.iteration % settings.log_every == 0:
                record = self.record(loss, step)
                for callback in self.callbacks:
                    callback(self, record)
            due = settings.checkpoint_every and (last or self.iteration % settings.checkpoint_every == 0)
            if due and self.save_checkpoint:
                self.save_checkpoint(self)
            if stop:
                break

    def step(self) -> tuple[Tensor, Step]:
        """Do one iteration: choose a view, render, compare, differentiate, update, apply the rules."""
        progress = self.progress
        view = self.sampler.next(self.iteration, int(self.settings.virtual_until * self.settings.iterations))
        if self.resolution is not None:
            view = self.resolution.at(view, progress)
        rendering, screen_offsets = self.render(view)
        losses = [term(rendering, view, progress) for term in self.terms]
        loss = torch.stack([value for value in losses if value is not None]).sum()
        loss.backward()

        step = Step(view, rendering, None if screen_offsets is None else screen_offsets.grad)
        self.gaussians.step(progress, rendering.radii > 0)
        if self.cameras is not None:
            self.cameras.step(progress)
        self.iteration += 1
        for rule in self.rules:
            rule.after_step(self, step)
        return loss.detach(), step

    def render(self, view: TrainingView) -> tuple[ops.Rasterization, Tensor | None]:
        """Render a training view with dropout; also returns the probe whose gradient is the view-space gradient."""
        gaussians = self.gaussians.gaussians
        pose, intrinsics = view.world_to_camera, view.intrinsics
        if self.cameras is not None and not view.virtual:
            pose, intrinsics = self.cameras.refined(view)
        opacities = gaussians.opacities
        if self.dropout is not None:
            center = -pose[:3, :3].detach().T @ pose[:3, 3].detach()
            factors = self.dropout.factors(self.gaussians, view.name, center, self.progress, self.generator)
            if factors is not None:
                opacities = (opacities * factors).clamp(max=1.0)
        screen_offsets = None
        if any(rule.needs_screen_gradients(self.progress) for rule in self.rules):
            screen_offsets = torch.zeros(len(gaussians), 2, device=gaussians.means.device, requires_grad=True)
        samples = 1
        if self.multisampling is not None:
            samples = self.multisampling.samples(self.progress, self.generator)
        outputs = dict.fromkeys(name for term in self.terms for name in term.outputs if _applies(name, view))
        rendering = ops.rasterize(
            gaussians.means,
            gaussians.quaternions,
            gaussians.scales,
            opacities,
            gaussians.sh,
            pose,
            intrinsics * samples,
            view.width * samples,
            view.height * samples,
            sh_degree=self.sh_degree,
            background=self._background(gaussians.means.device),
            outputs=("color", *outputs),
            antialiased=self.settings.antialiased,
            screen_offsets=screen_offsets,
            absolute_gradients=screen_offsets is not None,
            near=view.near,
        )
        return pooled(rendering, samples), screen_offsets

    def _background(self, device: torch.device) -> Tensor | None:
        if self.settings.random_background:
            return torch.rand(3, generator=self.generator).to(device)
        return self.background

    def record(self, loss: Tensor, step: Step) -> StepRecord:
        """Return the line of progress of the iteration that was just done; waits for the GPU where there is one."""
        with torch.no_grad():
            squared = (step.rendering.color - step.view.image).square().mean(-1)
            weight = step.view.weight
            mse = squared.mean() if weight is None else (squared * weight).sum() / weight.sum().clamp(min=1)
        return StepRecord(
            iteration=self.iteration,
            iterations=self.settings.iterations,
            seconds=self.seconds,
            loss=float(loss),
            psnr=float(-10 * torch.log10(mse.clamp(min=1e-10))),
            gaussians=len(self.gaussians),
        )

    def state(self) -> dict[str, Tensor]:
        """Return everything the next step depends on, as tensors by dotted name."""
        parts: dict[str, dict[str, Tensor]] = {
            "gaussians": self.gaussians.state(),
            "sampler": self.sampler.state(),
            "loss_window": self._window.state(),
            "trainer": {
                "iteration": torch.tensor(self.iteration),
                "seconds": torch.tensor(self.seconds, dtype=torch.float64),
                "random": self.generator.get_state(),
            },
        }
        parts.update({f"rule{i}": rule.state() for i, rule in enumerate(self.rules)})
        if self.dropout is not None:
            parts["dropout"] = self.dropout.state()
        if self.cameras is not None:
            parts["cameras"] = self.cameras.state()
        return {
            f"{part}.{name}": tensor for part, tensors in parts.items() for name, tensor in tensors.items()
        }

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Continue from a `state()`."""

        def part(prefix: str) -> dict[str, Tensor]:
            return {
                name.removeprefix(f"{prefix}."): t
                for name, t in state.items()
                if name.startswith(f"{prefix}.")
            }

        self.gaussians.load_state(part("gaussians"))
        self.sampler.load_state(part("sampler"))
        self._window.load_state(part("loss_window"))
        for i, rule in enumerate(self.rules):
            rule.load_state(part(f"rule{i}"))
        if self.dropout is not None:
            self.dropout.load_state(part("dropout"))
        if self.cameras is not None:
            self.cameras.load_state(part("cameras"))
        own = part("trainer")
        self.iteration = int(own["iteration"])
        self.seconds = float(own["seconds"])
        self.generator.set_state(own["random"])


class LossWindow:
    """Says when the loss has stopped falling: compares the means of two successive windows of iterations."""

    MINIMUM_DROP = 0.002

    def __init__(self, length: int) -> None:
        self.length = length
        self._sum = torch.zeros((), dtype=torch.float64)
        self._count = 0
        self._previous = float("inf")

    def add(self, loss: Tensor) -> bool:
        """Take in one iteration's loss; true when the window that it ends is no better than the one before."""
        if self.length == 0:
            return False
        self._sum += loss.cpu()
        self._count += 1
        if self._count < self.length:
            return False
        mean = float(self._sum) / self.length
        stalled = mean > self._previous * (1 - self.MINIMUM_DROP)
        self._previous = mean
        self._sum.zero_()
        self._count = 0
        return stalled

    def state(self) -> dict[str, Tensor]:
        return {
            "sum": self._sum.clone(),
            "count": torch.tensor(self._count),
            "previous": torch.tensor(self._previous, dtype=torch.float64),
        }

    def load_state(self, state: dict[str, Tensor]) -> None:
        self._sum = state["sum"].clone()
        self._count = int(state["count"])
        self._previous = float(state["previous"])


def _applies(output: str, view: TrainingView) -> bool:
    return output != "depth" or view.depth is not None
