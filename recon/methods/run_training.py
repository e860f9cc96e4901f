"""Training a composed method inside a run folder: progress, log, checkpoints, resume."""

from __future__ import annotations

from recon.config import config_hash
from recon.methods.options import RunSettings
from recon.run_folder import RunFolder
from recon.train import StepRecord, Trainer
from recon.train.checkpoint import load_checkpoint, save_checkpoint
from recon.train.progress import shown_progress


def train(trainer: Trainer, run: RunFolder, settings: RunSettings, *, resume: bool) -> None:
    """Run the trainer to its end, from its last checkpoint where `resume` is set."""
    name = config_hash(settings)
    if resume:
        load_checkpoint(trainer, run.checkpoints, name)
    trainer.save_checkpoint = lambda current: save_checkpoint(current, run.checkpoints, name)

    def log(current: Trainer, record: StepRecord) -> None:
        run.log(
            "step",
            iteration=record.iteration,
            seconds=round(record.seconds, 3),
            loss=record.loss,
            psnr=record.psnr,
            gaussians=record.gaussians,
        )

    with shown_progress(f"training {settings.method}") as progress:
        trainer.callbacks += [log, progress]
        trainer.run()
