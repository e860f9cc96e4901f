"""Cameras, views and scenes: the types every other part of the library speaks."""

from recon.scene.camera import Camera, near_plane
from recon.scene.exposure import Exposures, evened, evened_scene
from recon.scene.photo import Photo, PhotoSet
from recon.scene.quaternion import quaternion_to_rotation, rotation_to_quaternion
from recon.scene.rigid import (
    camera_center,
    invert_rigid,
    look_at,
    rotation_angle,
)
from recon.scene.scene import PoseStatus, Scene, SparsePoints
from recon.scene.view import Pixels, View

__all__ = [
    "Camera",
    "Exposures",
    "Photo",
    "PhotoSet",
    "Pixels",
    "PoseStatus",
    "Scene",
    "SparsePoints",
    "View",
    "camera_center",
    "evened",
    "evened_scene",
    "invert_rigid",
    "look_at",
    "near_plane",
    "quaternion_to_rotation",
    "rotation_angle",
    "rotation_to_quaternion",
]
