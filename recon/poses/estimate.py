"""What pose estimation returns."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from recon.poses.evidence import Evidence
from recon.poses.lens import Lens
from recon.poses.verdict import Level
from recon.scene.camera import Camera
from recon.scene.scene import SparsePoints

Status = Literal["certified", "plausible", "uncertified", "refused"]


@dataclass(frozen=True, eq=False)
class EstimatedCamera:
    """Where a photo was taken and through which lens.

    Attributes:
        world_to_camera: [4, 4], OpenCV axes.
        lens: focal length, principal point and distortion in pixels of the full-size photo.
    """

    world_to_camera: Float[ndarray, "4 4"]
    lens: Lens

    @property
    def pinhole(self) -> Camera:
        """The camera of the photo once `lens.k1` is undistorted: same size, focal length and principal point."""
        lens = self.lens
        return Camera(self.world_to_camera, lens.focal, lens.focal, lens.cx, lens.cy, lens.width, lens.height)


@dataclass(frozen=True)
class Attempt:
    """The record of one mapping attempt.

    Attributes:
        strategy: which mapper with which settings.
        tried: names of the photos it was given.
        registered: names of the photos it placed.
        level: the verdict, or "none" when the mapper found no model.
        reasons: what failed, as sentences.
        evidence: the signals, when there is a model.
        seconds: wall time of mapping and checking.
    """

    strategy: str
    tried: tuple[str, ...]
    registered: tuple[str, ...]
    level: Level | Literal["none"]
    reasons: tuple[str, ...]
    evidence: Evidence | None
    seconds: float

    def record(self) -> dict[str, object]:
        """Return plain data for logs."""
        return {
            "strategy": self.strategy,
            "tried": list(self.tried),
            "registered": list(self.registered),
            "verdict": self.level,
            "reasons": list(self.reasons),
            "evidence": self.evidence.numbers() if self.evidence else None,
            "seconds": round(self.seconds, 2),
        }


@dataclass(frozen=True, eq=False)
class PoseEstimate:
    """Cameras for a set of photos, how far they are trusted and why.

    Attributes:
        status: "certified": every check passed. "plausible": the matches agree, but the focal length is open or
            there are only two photos. "uncertified": a check failed. The last two are returned only when the
            settings accept them. "refused": no cameras.
        cameras: by photo name; world units are chosen so that the points' median depth is 1, y points down (the mean
            of the photos' own down) and the origin is the points' median.
        left_out: why each photo without a camera has none.
        points: triangulated features.
        visible: which camera (column, in the order of `cameras`) sees which point.
        evidence: the signals of the model that is returned.
        strategy: the attempt that won.
        attempts: the record of every attempt.
        diagnosis: sentences for a person: what is wrong and what to photograph next; empty when nothing is.
        seconds: wall time of the whole estimation.
    """

    status: Status
    cameras: dict[str, EstimatedCamera]
    left_out: dict[str, str]
    points: SparsePoints | None
    visible: Bool[ndarray, "P C"] | None = field(repr=False)
    evidence: Evidence | None
    strategy: str | None
    attempts: tuple[Attempt, ...]
    diagnosis: tuple[str, ...]
    seconds: float

    def record(self) -> dict[str, object]:
        """Return plain data for logs and reports."""
        return {
            "status": self.status,
            "strategy": self.strategy,
            "cameras": list(self.cameras),
            "left_out": dict(self.left_out),
            "evidence": self.evidence.numbers() if self.evidence else None,
            "attempts": [attempt.record() for attempt in self.attempts],
            "diagnosis": list(self.diagnosis),
            "seconds": round(self.seconds, 2),
        }


def upright_frame(
    poses: dict[str, Float[ndarray, "4 4"]], points: Float[ndarray, "P 3"], visible: Bool[ndarray, "P C"]
) -> tuple[dict[str, Float[ndarray, "4 4"]], Float[ndarray, "P 3"]]:
    """Move a model into a frame that does not depend on the mapper's gauge: see `PoseEstimate.cameras`.

    Returns:
        World-to-camera matrices (rigid again) and points in the new frame.
    """
    stacked = np.stack(list(poses.values()))
    local = np.einsum("cij,pj->cpi", stacked[:, :3, :3], points) + stacked[:, None, :3, 3]
    depths = local[..., 2].T[visible]
    depth = float(np.median(depths[depths > 0])) if (depths > 0).any() else 1.0
    down = stacked[:, 1, :3].mean(axis=0)
    forward = stacked[:, 2, :3].mean(axis=0)
    rotation = _frame(down, forward)
    center = rotation.T @ np.median(points @ rotation.T, axis=0)
    moved = {}
    for name, pose in poses.items():
        matrix = np.eye(4)
        matrix[:3, :3] = pose[:3, :3] @ rotation.T
        matrix[:3, 3] = (pose[:3, 3] + pose[:3, :3] @ center) / depth
        moved[name] = matrix
    return moved, (points - center) @ rotation.T / depth


def _frame(down: ndarray, forward: ndarray) -> Float[ndarray, "3 3"]:
    """Return the rotation whose second row is `down` and whose third is as near to `forward` as that allows."""
    y = _unit_or(down, np.array([0.0, 1.0, 0.0]))
    z = forward - (forward @ y) * y
    if np.linalg.norm(z) < 1e-6:
        z = np.eye(3)[np.abs(y).argmin()]
        z = z - (z @ y) * y
    z = z / np.linalg.norm(z)
    return np.stack([np.cross(y, z), y, z])


def _unit_or(vector: ndarray, fallback: ndarray) -> ndarray:
    length = np.linalg.norm(vector)
    return vector / length if length > 1e-6 else fallback
