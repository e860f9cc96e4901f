"""Clips with Dynamic 3D Gaussians' meta JSON: `train_meta.json`, `test_meta.json`, `ims/<camera>/<frame>.jpg`."""

from collections.abc import Collection, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from recon.datasets.clips.whole import is_whole
from recon.datasets.decode import shown
from recon.datasets.multi_camera import META_FILES, cameras_at, pictures_at, read_meta
from recon.datasets.posed_view import check_name, posed_view
from recon.datasets.resize import PictureSize
from recon.errors import ReconError
from recon.scene import Camera, View


class MetaRecording:
    """The cameras that the meta files list, named by their numbers.

    Files that are listed but absent are tolerated. The files may say `fps`.

    Args:
        growing: count whole pictures only.

    Raises:
        ReconError: when the files are malformed.
    """

    split_is_stated = True
    warnings: tuple[str, ...] = ()

    def __init__(self, folder: Path, size: PictureSize, *, growing: bool = False) -> None:
        self.name = folder.resolve().name
        self._folder, self._size, self._growing = folder, size, growing
        self._files = {part: folder / name for part, name in META_FILES.items() if (folder / name).is_file()}
        self._signatures: dict[str, tuple[int, int]] = {}
        self._metas: dict[str, dict[str, Any]] = {}
        self._parts: dict[str, str] = {}
        self._listed: dict[str, list[str | None]] = {}
        self._present: dict[str, set[int]] = {}
        self._moments: dict[str, tuple[int, dict[str, tuple[str, Camera]]]] = {}
        self._whole: set[str] = set()
        self._read()
        self._look()

    def present(self, camera: str) -> Collection[int]:
        return self._present[camera]

    def view(self, camera: str, frame: int) -> View:
        name, posed = self._moment(self._parts[camera], frame)[camera]
        return posed_view(camera, self._folder / "ims" / name, posed, self._size)

    def bounds(self, cameras: Sequence[str]) -> tuple[float, float] | None:
        return None

    def refresh(self, counted: int) -> None:
        try:
            self._read()
        except ReconError:
            if not self._growing:
                raise
            # The recorder is rewriting the lists: what they said before is still true.
        self._look()

    def _moment(self, part: str, frame: int) -> dict[str, tuple[str, Camera]]:
        """Return picture names and cameras of a moment; the last moment of each part is kept."""
        kept = self._moments.get(part)
        if kept is None or kept[0] != frame:
            listed = cameras_at(self._files[part], self._metas[part], frame)
            kept = (frame, {str(number): (name, posed) for number, name, posed in listed})
            self._moments[part] = kept
        return kept[1]

    def _read(self) -> None:
        """Read the lists that have changed."""
        signatures = {part: _signature(file) for part, file in self._files.items()}
        if signatures == self._signatures:
            return
        metas = {part: read_meta(file) for part, file in self._files.items()}
        parts: dict[str, str] = {}
        listed: dict[str, list[str | None]] = {}
        count = min(len(meta["fn"]) for meta in metas.values())
        for part, meta in metas.items():
            for frame in range(count):
                for number, name in pictures_at(self._files[part], meta, frame):
                    check_name(name)
                    if parts.setdefault(str(number), part) != part:
                        raise ReconError(
                            f"camera {number} is in both train_meta.json and test_meta.json: "
                            "leave it out of one"
                        )
                    listed.setdefault(str(number), [None] * count)[frame] = name
        lost = sorted(set(self._listed) - set(listed), key=int)
        if lost:
            raise ReconError(
                f"{shown(self._folder)}: the lists no longer name camera {lost[0]}: cameras must stay the same"
            )
        self._moments.clear()
        self._signatures, self._metas, self._parts, self._listed = signatures, metas, parts, listed
        self.cameras = tuple(sorted(listed, key=int))
        self.held_out = tuple(camera for camera in self.cameras if parts[camera] == "test")
        self.fps = _fps(metas)

    def _look(self) -> None:
        """Find out which of the listed pictures are there."""
        folders: dict[str, set[str]] = {}
        for camera, names in self._listed.items():
            here = set()
            for frame, name in enumerate(names):
                if name is None:
                    continue
                path = PurePosixPath(name)
                parent = str(path.parent)
                if parent not in folders:
                    folders[parent] = _names_in(self._folder / "ims" / parent)
                if path.name in folders[parent] and self._counts(name):
                    here.add(frame)
            self._present[camera] = here

    def _counts(self, name: str) -> bool:
        if not self._growing or name in self._whole:
            return True
        if not is_whole(self._folder / "ims" / name):
            return False
        self._whole.add(name)
        return True


def _fps(metas: dict[str, dict[str, Any]]) -> float | None:
    for meta in metas.values():
        fps = meta.get("fps")
        if isinstance(fps, int | float) and not isinstance(fps, bool) and 0 < fps < 1e6:
            return float(fps)
    return None


def _signature(file: Path) -> tuple[int, int]:
    try:
        status = file.stat()
    except OSError as error:
        raise ReconError(f"{shown(file)} cannot be read: {error.strerror}") from error
    return status.st_mtime_ns, status.st_size


def _names_in(folder: Path) -> set[str]:
    try:
        return {entry.name for entry in folder.iterdir()}
    except OSError:
        return set()
