"""Someone who is told how a reconstruction goes: the live viewer, a notebook, a test."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recon.methods.inputs import Inputs
    from recon.run_folder import RunFolder
    from recon.scene import Scene
    from recon.train import Trainer


class Observer:
    """Is told each step of a reconstruction as it happens; does nothing with it.

    Subclasses override what they want to know. They are called on the reconstruction's own thread, so they should
    return soon.
    """

    def phase(self, name: str) -> None:
        """A phase begins: poses, stereo, train, evaluate."""

    def opened(self, run: RunFolder, scene: Scene) -> None:
        """The cameras are known. Pixels of held-out views must not be looked at before the run is finished."""

    def stereo(self, inputs: Inputs) -> None:
        """Stereo is done."""

    def training(self, trainer: Trainer) -> None:
        """The trainer is about to run; it may be given a control."""

    def finished(self, run: RunFolder) -> None:
        """Everything is in the run folder."""
