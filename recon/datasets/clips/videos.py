"""Clips of one video file per camera."""

import statistics
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from recon.datasets.clips.camera_files import StatedCameras, stated_bounds
from recon.datasets.clips.video import VideoFile
from recon.datasets.decode import Picture, shown
from recon.datasets.posed_view import check_shape, finish_pixels
from recon.datasets.resize import PictureSize
from recon.errors import ReconError
from recon.scene import Pixels, View

MAX_FRAMES = 1 << 22
"""More frames than any capture has (39 hours at 30 a second); time stamps that ask for more are damaged."""


class VideoRecording:
    """Videos that start at the same moment.

    Frame t is shown t / fps seconds after each video's first picture. A video of another or a changing rate gives
    the pictures nearest to these moments, with a warning.

    Args:
        stated: the cameras and their videos.
        fps: frames per second; by default the rate of most videos.

    Raises:
        ReconError: when a video is unusable.
    """

    def __init__(
        self, folder: Path, stated: StatedCameras, size: PictureSize, *, fps: float | None = None
    ) -> None:
        self.name = folder.resolve().name
        self._size = size
        self._cameras = {camera.name: camera for camera in stated.cameras}
        for name, camera in self._cameras.items():
            if camera.pose is None:
                raise ReconError(
                    f"{shown(stated.file)} states several poses of camera {name}, which has one video: a camera that "
                    "moves needs a folder of pictures"
                )
        self._videos = {name: VideoFile(camera.place) for name, camera in self._cameras.items()}
        self.cameras = tuple(self._cameras)
        self.held_out, self.split_is_stated = stated.held_out, stated.split_is_stated
        rates = [video.rate for video in self._videos.values() if video.rate is not None]
        self.fps = fps or (statistics.median_low(rates) if rates else stated.fps)
        self._numbers = {
            name: numbers_at(video.times, self.fps) if self.fps else np.zeros(1, np.int64)
            for name, video in self._videos.items()
        }
        self.warnings = (*stated.warnings, *self._resampled())

    def present(self, camera: str) -> Collection[int]:
        return range(len(self._numbers[camera]))

    def view(self, camera: str, frame: int) -> View:
        stated, video = self._cameras[camera], self._videos[camera]
        pose = stated.pose
        assert pose is not None
        turns = video.quarter_turns
        width, height = (video.height, video.width) if turns % 2 else (video.width, video.height)
        if turns % 2 and (pose.camera.width > pose.camera.height) != (width > height):
            turns, width, height = 0, video.width, video.height  # the camera is for the pictures as stored
        check_shape(shown(video.path.name), width, height, pose.camera)
        posed = pose.camera.resized(width, height)
        target = self._size.of(width, height)
        number = int(self._numbers[camera][frame])

        def load() -> Pixels:
            picture = np.rot90(video.picture(number), turns)
            color = np.multiply(picture, np.float32(1 / 255), dtype=np.float32)
            return finish_pixels(
                Picture(np.ascontiguousarray(color), None), target, stored=posed, distortion=pose.distortion
            )

        return View(camera, posed.resized(*target), load)

    def bounds(self, cameras: Sequence[str]) -> tuple[float, float] | None:
        return stated_bounds([self._cameras[camera] for camera in cameras])

    def refresh(self, counted: int) -> None:
        """Find nothing: videos are read as they were when the clip was opened."""

    def _resampled(self) -> tuple[str, ...]:
        """Say which videos do not give each of their pictures once."""
        names = [
            name
            for name, numbers in self._numbers.items()
            if not np.array_equal(numbers, np.arange(len(self._videos[name])))
        ]
        if not names:
            return ()
        some = ", ".join(names[:6]) + (", …" if len(names) > 6 else "")
        return (
            f"the clip has {self.fps:g} frames a second; videos of another or a changing rate give the pictures "
            f"nearest in time: {some}",
        )


def numbers_at(times: Float[ndarray, " N"], fps: float) -> Int[ndarray, " M"]:
    """Return, for the moments t / fps, which picture is nearest in time.

    Raises:
        ReconError: when these are absurdly many.
    """
    count = times[-1] * fps + 1.5
    if not count < MAX_FRAMES:
        raise ReconError(
            f"a video of {times[-1]:.0f} seconds at {fps:g} frames a second is too long: cut it, or state fewer"
        )
    moments = np.arange(int(count)) / fps
    after = np.clip(np.searchsorted(times, moments), 1, max(1, len(times) - 1))
    if len(times) == 1:
        return np.zeros(len(moments), np.int64)
    nearer = moments - times[after - 1] <= times[after] - moments
    return np.where(nearer, after - 1, after).astype(np.int64)
