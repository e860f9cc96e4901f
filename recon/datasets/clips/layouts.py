"""Recognise how a clip's folder is arranged and open it."""

from collections.abc import Iterable
from pathlib import Path

from recon.datasets.clips.camera_files import camera_file, read_cameras_of_clip
from recon.datasets.clips.clip import Clip, RecordedClip, Recording
from recon.datasets.clips.meta import MetaRecording
from recon.datasets.clips.picture_folders import FolderRecording
from recon.datasets.clips.videos import VideoRecording
from recon.datasets.decode import shown
from recon.datasets.folder import describe_contents
from recon.datasets.multi_camera import META_FILES
from recon.datasets.resize import PictureSize
from recon.errors import ReconError

CLIP_LAYOUTS = {
    "meta": "train_meta.json, test_meta.json and ims/<camera>/<frame>.jpg (Dynamic 3D Gaussians)",
    "n3dv": "poses_bounds.npy beside one video or folder of pictures per camera, in name order (N3DV)",
    "transforms": "transforms.json beside one video or folder of pictures per camera",
    "colmap": "a COLMAP model, in sparse/0/, sparse/ or here, beside one video or folder of pictures per camera",
}
"""How a clip's files can be arranged, in the order in which they are tried."""


def open_clip(
    folder: Path | str,
    *,
    cameras: Iterable[str | int] | None = None,
    test_cameras: Iterable[str | int] | None = None,
    start: int = 0,
    frames: int | None = None,
    fps: float | None = None,
    downscale: float | None = None,
    max_size: int | None = None,
    growing: bool = False,
) -> Clip:
    """Open a clip of synchronised, posed cameras in any supported layout.

    No picture is decoded here. The clip has the frames up to the last one that every training camera has a picture of.

    Args:
        cameras: names of the training cameras; by default all that are not held out.
        test_cameras: names of the held-out cameras; by default those that the files hold out. An empty list holds
            out none.
        start: the first frame; it becomes frame 0.
        frames: how many frames, by default all.
        fps: frames per second, instead of what the files say. Of videos, the pictures nearest to these moments are
            taken.
        downscale, max_size: shrink pictures.
        growing: the folder is still being recorded: it may be empty, only whole pictures count, and `refresh` finds
            new ones.

    Raises:
        ReconError: when nothing fits or the files are unusable, with a sentence that says what to do.
    """
    folder = Path(folder)
    if fps is not None and not 0 < fps < 1e6:
        raise ReconError(f"frames per second must be a positive number, got {fps}")
    recording = _read(folder, PictureSize(downscale, max_size), growing, fps)
    if len(recording.cameras) < 2:
        raise ReconError(
            f"{shown(folder)} has one camera only: a clip needs two or more that film the same moments"
        )
    return RecordedClip(
        recording,
        cameras=cameras,
        test_cameras=test_cameras,
        start=start,
        frames=frames,
        fps=fps,
        growing=growing,
    )


def _read(folder: Path, size: PictureSize, growing: bool, fps: float | None) -> Recording:
    if not folder.is_dir():
        problem = "is a file" if folder.exists() else "does not exist"
        raise ReconError(f"{shown(folder)} {problem}: give the folder that holds the clip")
    if any((folder / name).is_file() for name in META_FILES.values()):
        return MetaRecording(folder, size, growing=growing)
    file = camera_file(folder)
    if file is not None:
        stated = read_cameras_of_clip(folder, file, growing=growing)
        videos = [camera for camera in stated.cameras if camera.is_video]
        if not videos:
            return FolderRecording(folder, stated, size, growing=growing)
        if len(videos) < len(stated.cameras):
            raise ReconError(
                f"{shown(folder)} has videos of {len(videos)} cameras and folders of pictures of "
                f"{len(stated.cameras) - len(videos)}: a clip has either the one or the other for all its cameras"
            )
        if growing:
            raise ReconError(
                f"{shown(folder)} holds videos, which cannot be followed while they are written: "
                "record folders of pictures, or open it when it is complete"
            )
        return VideoRecording(folder, stated, size, fps=fps)
    known = "\n".join(f"  {name}: {marks}" for name, marks in CLIP_LAYOUTS.items())
    raise ReconError(
        f"{shown(folder)} holds no clip in a supported layout: it {describe_contents(folder)}. Supported are\n{known}"
    )
