"""What can be known of a photo beforehand: its depth, its correspondences, how a hole should look.

Each prior is a protocol with an offline default that needs no weights. Learned models stand beside them as adapters
that load local files when they are first used and never download anything.
"""

from recon.priors.depth import DepthPrior, StereoDepth
from recon.priors.flow import DisFlow, Flow, FlowPrior, StereoFlow
from recon.priors.repair import ClassicalInpainting, RepairPrior

__all__ = [
    "ClassicalInpainting",
    "DepthPrior",
    "DisFlow",
    "Flow",
    "FlowPrior",
    "RepairPrior",
    "StereoDepth",
    "StereoFlow",
]
