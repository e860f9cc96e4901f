"""Cameras and views that the stereo tests build on."""

import numpy as np

from recon.scene import Camera, View, look_at


def camera_at(position, target, size=(96, 72), focal=90.0) -> Camera:
    pose = look_at(np.array(position, float), np.array(target, float), np.array([0.0, 0.0, 1.0]))
    return Camera(pose, focal, focal, size[0] / 2, size[1] / 2, *size)


def with_pixels(view: View, pixels) -> View:
    """The same camera with other pixels."""
    return View(view.name, view.camera, lambda: pixels)
