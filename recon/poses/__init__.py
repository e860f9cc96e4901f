"""Photos → verified cameras."""

from recon.poses.estimate import Attempt, EstimatedCamera, PoseEstimate
from recon.poses.ladder import estimate_poses
from recon.poses.lens import Lens
from recon.poses.settings import PoseSettings

__all__ = ["Attempt", "EstimatedCamera", "Lens", "PoseEstimate", "PoseSettings", "estimate_poses"]
