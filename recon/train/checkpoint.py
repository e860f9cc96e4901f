"""Saving and restoring a trainer: safetensors only, written whole or not at all."""

from __future__ import annotations

from pathlib import Path

from recon.errors import ReconError
from recon.train.trainer import Trainer

FILE = "latest.safetensors"


def save_checkpoint(trainer: Trainer, folder: Path, config_hash: str) -> None:
    """Write the trainer's state to `folder`, replacing the last checkpoint only when the new one is complete."""
    from safetensors.torch import save

    from recon.files import atomic_write

    state = {name: tensor.detach().cpu().contiguous() for name, tensor in trainer.state().items()}
    data = save(state, metadata={"config_hash": config_hash})
    with atomic_write(folder / FILE) as file:
        file.write(data)


def load_checkpoint(trainer: Trainer, folder: Path, config_hash: str) -> bool:
    """Restore the last checkpoint of `folder` into the trainer; false when there is none.

    Raises:
        ReconError: when the checkpoint is damaged or was written with other settings.
    """
    from safetensors import SafetensorError, safe_open

    path = folder / FILE
    if not path.exists():
        return False
    try:
        with safe_open(path, framework="pt") as file:
            written_with = (file.metadata() or {}).get("config_hash")
            if written_with != config_hash:
                raise ReconError(
                    f"{path} was written with other settings (config {written_with}, now {config_hash}); "
                    "resume with the settings of the run's config.yaml, or start anew with --overwrite"
                )
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        trainer.load_state(state)
    except (SafetensorError, KeyError, RuntimeError, OSError) as error:
        raise ReconError(
            f"cannot resume: {path} is damaged ({error}); start anew with --overwrite"
        ) from error
    return True
