"""Clips in folders of pictures, one folder per camera, beside a file of cameras."""

from collections.abc import Collection, Sequence
from pathlib import Path

from recon.datasets.clips.camera_files import StatedCamera, StatedCameras, read_cameras_of_clip, stated_bounds
from recon.datasets.clips.whole import is_whole
from recon.datasets.decode import shown
from recon.datasets.folder import last_number, picture_files
from recon.datasets.posed_view import posed_view
from recon.datasets.resize import PictureSize
from recon.errors import ReconError
from recon.scene import View

Key = int | str
"""What pairs pictures of different cameras: the last number in their names or, failing that, the name itself."""


class FolderRecording:
    """Folders of pictures whose names say which moment they are of.

    Frame t is the t-th number (or name) that occurs in any camera's folder, so a picture that a camera dropped is
    absent there and shifts nothing.

    Args:
        stated: the cameras and where their pictures lie.
        growing: count whole pictures only.

    Raises:
        ReconError: when a folder cannot be listed, or holds two pictures of one moment.
    """

    def __init__(
        self, folder: Path, stated: StatedCameras, size: PictureSize, *, growing: bool = False
    ) -> None:
        self.name = folder.resolve().name
        self._folder, self._size, self._growing = folder, size, growing
        self._keys: list[Key] = []
        self._whole: set[Path] = set()
        self._numbered: bool | None = None
        self._signature = _signature(stated.file)
        self._take(stated)
        self._look(0)

    def present(self, camera: str) -> Collection[int]:
        return self._files[camera].keys()

    def view(self, camera: str, frame: int) -> View:
        stated, file = self._cameras[camera], self._files[camera][frame]
        pose = stated.pose or stated.by_file[file.name]
        return posed_view(camera, file, pose.camera, self._size, distortion=pose.distortion)

    def bounds(self, cameras: Sequence[str]) -> tuple[float, float] | None:
        return stated_bounds([self._cameras[camera] for camera in cameras])

    def refresh(self, counted: int) -> None:
        try:
            signature = _signature(self._stated.file)
            if signature != self._signature:
                stated = read_cameras_of_clip(self._folder, self._stated.file, growing=self._growing)
                if {camera.name for camera in stated.cameras} == set(self.cameras):
                    self._take(stated)
                self._signature = signature
        except ReconError:
            if not self._growing:
                raise
            # The recorder is rewriting the cameras: what the file said before is still true.
        self._look(counted)

    def _take(self, stated: StatedCameras) -> None:
        self._stated = stated
        self._cameras = {camera.name: camera for camera in stated.cameras}
        self.cameras = tuple(self._cameras)
        self.held_out, self.split_is_stated = stated.held_out, stated.split_is_stated
        self.fps, self.warnings = stated.fps, stated.warnings

    def _look(self, counted: int) -> None:
        """List the folders; the first `counted` frames keep their numbers."""
        listed = {name: self._pictures(camera) for name, camera in self._cameras.items()}
        if self._numbered is None and any(listed.values()):
            self._numbered = all(_numbered(files) for files in listed.values())
        by_key = {name: self._by_key(files) for name, files in listed.items()}
        known = self._keys[:counted]
        found = {key for files in by_key.values() for key in files}
        later = sorted(key for key in found if not known or key > known[-1])  # type: ignore[operator]
        self._keys = [*known, *later]
        self._files = {
            name: {frame: files[key] for frame, key in enumerate(self._keys) if key in files}
            for name, files in by_key.items()
        }

    def _pictures(self, camera: StatedCamera) -> list[Path]:
        if self._growing and not camera.place.is_dir():
            return []
        files = picture_files(camera.place)
        if camera.pose is None:
            files = [file for file in files if file.name in camera.by_file]
        return [file for file in files if self._counts(file)]

    def _counts(self, file: Path) -> bool:
        if not self._growing or file in self._whole:
            return True
        if not is_whole(file):
            return False
        self._whole.add(file)
        return True

    def _by_key(self, files: list[Path]) -> dict[Key, Path]:
        by_key: dict[Key, Path] = {}
        for file in files:
            key = last_number(file.name) if self._numbered else file.stem
            if key is None:
                continue
            if key in by_key:
                raise ReconError(
                    f"{shown(file.parent)} has two pictures of one moment, {shown(by_key[key].name)} and "
                    f"{shown(file.name)}: keep one of them"
                )
            by_key[key] = file
        return by_key


def _numbered(files: list[Path]) -> bool:
    """Tell whether the pictures' last numbers are all there and all different."""
    numbers = [last_number(file.name) for file in files]
    return None not in numbers and len(set(numbers)) == len(numbers)


def _signature(file: Path) -> tuple[int, int]:
    """Tell a change of the camera file (of a COLMAP model, of its images)."""
    images = ("images.bin", "images.txt")
    if file.is_dir():
        file = next((file / name for name in images if (file / name).is_file()), file)
    try:
        status = file.stat()
    except OSError as error:
        raise ReconError(f"{shown(file)} cannot be read: {error.strerror}") from error
    return status.st_mtime_ns, status.st_size
