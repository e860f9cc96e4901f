"""A pinhole camera: pose, intrinsics in pixels, picture size."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from recon.errors import ReconError
from recon.scene.rigid import camera_center, invert_rigid

NEAR_SHARE = 0.1
"""Of the distance from a camera to the next: `near_plane`."""


@dataclass(frozen=True, eq=False)
class Camera:
    """A pinhole camera without distortion (readers undistort pictures once, when they load them).

    Axes are OpenCV's: x right, y down, z forward. The centre of the top-left pixel is at (0.5, 0.5), so the picture
    spans [0, width] x [0, height].

    Attributes:
        world_to_camera: [4, 4] float64, rigid.
        fx, fy: focal lengths in pixels.
        cx, cy: principal point in pixels.
        width, height: picture size in pixels.
        near: depth (z) up to which nothing is drawn in pictures made for this camera; `near_plane` finds it.

    Raises:
        ReconError: when the pose is not a finite rigid transform or the intrinsics are not usable.
    """

    world_to_camera: Float[ndarray, "4 4"] = field(repr=False)
    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int
    near: float = 0.01

    def __post_init__(self) -> None:
        pose = np.asarray(self.world_to_camera, dtype=np.float64)
        object.__setattr__(self, "world_to_camera", pose)
        for name in ("fx", "fy", "cx", "cy"):
            object.__setattr__(self, name, float(getattr(self, name)))
        for name in ("width", "height"):
            object.__setattr__(self, name, int(getattr(self, name)))
        _check_pose(pose)
        if not (np.isfinite([self.fx, self.fy, self.cx, self.cy]).all() and self.fx > 0 and self.fy > 0):
            raise ReconError(
                f"camera intrinsics must be finite with positive focal lengths, got fx={self.fx}, fy={self.fy}, "
                f"cx={self.cx}, cy={self.cy}"
            )
        if self.width < 1 or self.height < 1:
            raise ReconError(f"a camera's picture must have a size, got {self.width}x{self.height}")

    @property
    def camera_to_world(self) -> Float[ndarray, "4 4"]:
        return invert_rigid(self.world_to_camera)

    @property
    def center(self) -> Float[ndarray, " 3"]:
        """Position in world coordinates."""
        return camera_center(self.world_to_camera)

    @property
    def forward(self) -> Float[ndarray, " 3"]:
        """Unit viewing direction in world coordinates."""
        return self.world_to_camera[2, :3].copy()

    @property
    def matrix(self) -> Float[ndarray, "3 3"]:
        """The intrinsic matrix K."""
        return np.array([[self.fx, 0.0, self.cx], [0.0, self.fy, self.cy], [0.0, 0.0, 1.0]])

    @property
    def intrinsics(self) -> Float[ndarray, " 4"]:
        """(fx, fy, cx, cy), the order the rasterizer takes."""
        return np.array([self.fx, self.fy, self.cx, self.cy])

    def resized(self, width: int, height: int) -> "Camera":
        """Return the same camera for its picture resampled to width x height."""
        sx, sy = width / self.width, height / self.height
        return replace(
            self,
            fx=self.fx * sx,
            fy=self.fy * sy,
            cx=self.cx * sx,
            cy=self.cy * sy,
            width=width,
            height=height,
        )

    def moved(self, world_to_camera: Float[ndarray, "4 4"]) -> "Camera":
        """Return the same camera with another pose."""
        return replace(self, world_to_camera=world_to_camera)

    def project(self, points: Float[ndarray, "N 3"]) -> tuple[Float[ndarray, "N 2"], Float[ndarray, " N"]]:
        """Project world points to pixels; returns pixel positions and depths (z, may be <= 0 behind the camera)."""
        local = points @ self.world_to_camera[:3, :3].T + self.world_to_camera[:3, 3]
        z = local[:, 2]
        with np.errstate(divide="ignore", invalid="ignore"):
            pixels = local[:, :2] / z[:, None] * [self.fx, self.fy] + [self.cx, self.cy]
        return pixels, z

    def unproject(self, pixels: Float[ndarray, "N 2"], depth: Float[ndarray, " N"]) -> Float[ndarray, "N 3"]:
        """Return the world points at the given depths (z) behind the given pixel positions."""
        local = np.empty((len(pixels), 3))
        local[:, 0] = (pixels[:, 0] - self.cx) / self.fx * depth
        local[:, 1] = (pixels[:, 1] - self.cy) / self.fy * depth
        local[:, 2] = depth
        camera_to_world = self.camera_to_world
        return local @ camera_to_world[:3, :3].T + camera_to_world[:3, 3]

    def pixel_centers(self) -> Float[ndarray, "H W 2"]:
        """Return the (x, y) position of every pixel's centre."""
        x, y = np.meshgrid(np.arange(self.width) + 0.5, np.arange(self.height) + 0.5)
        return np.stack([x, y], axis=-1)


def near_plane(cameras: Sequence[Camera]) -> float | None:
    """Return the depth up to which pictures of a scene that these cameras recorded stay empty; None for one camera.

    Two photos hardly show both what is nearer than a tenth of the distance between them, so nothing is known about it.
    What a reconstruction has there is what cameras hide from each other, or stand in: the wall of a room, say, closes
    over the lens of a camera that looks out of it.
    """
    centers = np.array([camera.center for camera in cameras]).reshape(-1, 3)
    apart = np.linalg.norm(centers[:, None] - centers[None], axis=-1)
    np.fill_diagonal(apart, np.inf)
    nearest = apart.min(axis=1, initial=np.inf)
    nearest = nearest[np.isfinite(nearest) & (nearest > 0)]
    return NEAR_SHARE * float(np.median(nearest)) if len(nearest) else None


def _check_pose(pose: ndarray) -> None:
    if pose.shape != (4, 4) or not np.isfinite(pose).all():
        raise ReconError(
            f"a camera pose must be a finite 4x4 matrix, got shape {pose.shape} or NaN or infinite values"
        )
    rotation = pose[:3, :3]
    if np.abs(rotation @ rotation.T - np.eye(3)).max() > 1e-3 or np.linalg.det(rotation) < 0:
        raise ReconError(
            "a camera pose must be a rotation and a translation, but its 3x3 part is singular, scaled or mirrored"
        )
    if np.abs(pose[3] - [0, 0, 0, 1]).max() > 1e-6:
        raise ReconError("the last row of a camera pose must be 0 0 0 1")
