"""Watching a reconstruction: tells the live feed how it goes, and the trainer when to wait or to stop."""

from __future__ import annotations

import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from torch import Tensor

from recon.methods.observer import Observer
from recon.server.live_feed import LiveFeed
from recon.server.session import Stage, live_session, run_session
from recon.server.splat_frames import encode_frame
from recon.splats import Gaussians

if TYPE_CHECKING:
    from recon.methods.inputs import Inputs
    from recon.run_folder import RunFolder
    from recon.scene import Scene
    from recon.train import Trainer
    from recon.train.trainer import Step

SECONDS_PER_FRAME = 0.34
"""The splat is sent at most three times a second."""

FRAME_SHARE = 0.01
"""Largest share of the training's time that copying Gaussians for the feed may take; large scenes come less often.

Copying is about a fifth of what a frame costs in all (benchmarks/live_view.py), so that everything together stays near
5 % of one core.
"""

SECONDS_PER_PROGRESS = 0.25
_SECONDS_PER_WAIT = 0.2
_RATE_WINDOW = 20
"""Progress messages over which the rate is measured: five seconds."""


class LiveTraining(Observer):
    """Observes a reconstruction and controls its training, for one feed and one stage.

    What happens on the training's thread is bounded: a few numbers every quarter of a second, and, only when somebody
    is connected and has acknowledged the last frame, a copy of the Gaussians. Encoding and sending happen on other
    threads.
    """

    def __init__(self, feed: LiveFeed, stage: Stage) -> None:
        self.feed = feed
        self.stage = stage
        self._run: RunFolder | None = None
        self._scene: Scene | None = None
        self._encoder = ThreadPoolExecutor(1, thread_name_prefix="recon-encode")
        self._encoding: Future | None = None
        self._frames = 0
        self._frame_iteration = -1
        self._next_progress = 0.0
        self._next_frame = 0.0
        self._recent: deque[tuple[int, float]] = deque(maxlen=_RATE_WINDOW)

    # What the pipeline tells.

    def phase(self, name: str) -> None:
        self.feed.publish(state="waiting", phase=name, rate=0.0, eta=None)

    def opened(self, run: RunFolder, scene: Scene) -> None:
        self._run, self._scene = run, scene
        self._show_session(None)

    def stereo(self, inputs: Inputs) -> None:
        self._show_session(inputs)

    def training(self, trainer: Trainer) -> None:
        trainer.control = self
        self.feed.publish(iterations=trainer.settings.iterations, gaussians=len(trainer.gaussians))

    def finished(self, run: RunFolder) -> None:
        """Show the finished run instead."""
        self._encoder.shutdown(wait=True)
        self.stage.session = run_session(run.path, live=True)
        self.feed.drop_frame()
        stopped = bool(run.read_metrics().get("stopped_early"))
        self.feed.publish(state="stopped" if stopped else "finished", phase="done", rate=0.0, eta=None)
        self.feed.session_changed()

    def failed(self, sentence: str) -> None:
        """Tell what went wrong."""
        self._encoder.shutdown(wait=True)
        self.feed.publish(state="failed", message=sentence, rate=0.0, eta=None)

    # What the trainer asks, after every iteration.

    def after_step(self, trainer: Trainer, loss: Tensor, step: Step) -> bool:
        now = time.monotonic()
        if now >= self._next_progress:
            self._next_progress = now + SECONDS_PER_PROGRESS
            self._tell(trainer, loss, step)
        if now >= self._next_frame and self.feed.frame_wanted:
            self.make_frame(trainer)
        if self.feed.paused:
            self._wait(trainer)
        return not self.feed.stop_requested

    def _tell(self, trainer: Trainer, loss: Tensor, step: Step) -> None:
        record = trainer.record(loss, step)
        self._recent.append((record.iteration, record.seconds))
        (first, begun), (last, now) = self._recent[0], self._recent[-1]
        rate = (last - first) / (now - begun) if now > begun else record.iteration / max(record.seconds, 1e-9)
        finite = record.loss == record.loss and abs(record.loss) != float("inf")
        loss_now = record.loss if finite else None
        if loss_now is not None:
            self.feed.add_row(record.iteration, loss_now, record.psnr, record.gaussians)
        self.feed.publish(
            state="training",
            phase="train",
            iteration=record.iteration,
            iterations=record.iterations,
            loss=loss_now,
            psnr=record.psnr if finite else None,
            gaussians=record.gaussians,
            rate=rate,
            eta=(record.iterations - record.iteration) / rate if rate > 0 else None,
        )

    def make_frame(self, trainer: Trainer) -> None:
        """Copy the Gaussians and have the copy encoded; does nothing while the last one still is."""
        if self._encoding is not None and not self._encoding.done():
            return
        started = time.monotonic()
        gaussians = _copy(trainer)
        copied = time.monotonic() - started
        self._frames += 1
        self._frame_iteration = trainer.iteration
        self._next_frame = started + max(SECONDS_PER_FRAME, copied / FRAME_SHARE)
        self._encoding = self._encoder.submit(self._encode, gaussians, self._frames)

    def _encode(self, gaussians: Gaussians, number: int) -> None:
        self.feed.show(tuple(encode_frame(gaussians, number)), number)

    def _wait(self, trainer: Trainer) -> None:
        """Stand still, still showing the splat to whoever comes, until somebody resumes or stops."""
        if self._encoding is not None:
            self._encoding.result()
        if self._frame_iteration != trainer.iteration:
            self.make_frame(trainer)
        self.feed.publish(state="paused", rate=0.0, eta=None)
        while self.feed.paused:
            self.feed.wait(_SECONDS_PER_WAIT)
        self._recent.clear()
        self.feed.publish(state="training")

    def _show_session(self, inputs: Inputs | None) -> None:
        points = None if inputs is None else inputs.points
        self.stage.session = live_session(self._run, self._scene, points)
        self.feed.session_changed()


def _copy(trainer: Trainer) -> Gaussians:
    """Return the Gaussians as they are now, on the CPU, in memory of their own."""
    return trainer.gaussians.gaussians.detach().map(lambda tensor: tensor.to("cpu", copy=True))
