"""What is done to the Gaussians beside gradient steps: growth, pruning, decay, dropout."""

from recon.train.rules.density import DensityControl, DensitySettings
from recon.train.rules.dropout import DropoutSettings, GuidedDropout
from recon.train.rules.opacity_decay import OpacityDecay, OpacityReset

__all__ = [
    "DensityControl",
    "DensitySettings",
    "DropoutSettings",
    "GuidedDropout",
    "OpacityDecay",
    "OpacityReset",
]
