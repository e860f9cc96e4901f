"""Clips: synchronised cameras over time, handed out one moment at a time."""

from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

from recon.errors import ReconError
from recon.scene import Scene, View

DEFAULT_FPS = 30.0
"""Frames per second of clips whose files do not say: what most of the field's captures have."""


class Clip(Protocol):
    """Synchronised, posed cameras over time.

    Attributes:
        name: of the clip.
        fps: frames per second.
        train, test: names of the cameras that may be used to reconstruct, and of those held out.
        warnings: sentences about the clip as a whole; those about one moment are in its scene.
    """

    name: str
    fps: float
    train: tuple[str, ...]
    test: tuple[str, ...]

    @property
    def warnings(self) -> tuple[str, ...]: ...

    def __len__(self) -> int:
        """Return how many frames are there now."""

    def scene(self, frame: int) -> Scene:
        """Return all views of a moment, named like their cameras; pictures are decoded when asked for."""

    def refresh(self) -> None:
        """Look again: a folder that is being recorded has grown. Frames that were counted stay as they were."""


class Recording(Protocol):
    """What a layout's reader knows; `RecordedClip` chooses from it.

    Attributes:
        name: of the clip.
        cameras: names of all cameras, in the order in which views are listed.
        held_out: those that are held out unless somebody chooses.
        split_is_stated: whether the files say so; otherwise it is a custom of the layout, and whoever chooses other
            held-out cameras trains on these.
        fps: frames per second, None when the files do not say.
        warnings: about the files.
    """

    name: str
    cameras: tuple[str, ...]
    held_out: tuple[str, ...]
    split_is_stated: bool
    fps: float | None
    warnings: tuple[str, ...]

    def present(self, camera: str) -> Collection[int]:
        """Return the frames that a camera has a picture of."""

    def view(self, camera: str, frame: int) -> View:
        """Return the picture of a frame that is present."""

    def bounds(self, cameras: Sequence[str]) -> tuple[float, float] | None:
        """Return near and far depth as the files state them for these cameras."""

    def refresh(self, counted: int) -> None:
        """Look for new pictures; frames below `counted` keep their numbers."""


class RecordedClip:
    """The chosen cameras and frames of a recording.

    Args:
        cameras: names of the training cameras; by default all that are not held out.
        test_cameras: names of the held-out cameras; by default those that the layout holds out.
        start, frames: the first frame, and how many at most; by default all that every training camera has.
        fps: instead of the files'.
        growing: the recording is still going on: it may be empty, and cameras without pictures are waited for.

    Raises:
        ReconError: when cameras or frames are chosen that do not exist, or nothing is left.
    """

    def __init__(
        self,
        recording: Recording,
        *,
        cameras: Iterable[str | int] | None = None,
        test_cameras: Iterable[str | int] | None = None,
        start: int = 0,
        frames: int | None = None,
        fps: float | None = None,
        growing: bool = False,
    ) -> None:
        if start < 0 or (frames is not None and frames < 1):
            raise ReconError(
                f"a clip's part starts at frame 0 or later and has 1 frame or more, got {start} and {frames}"
            )
        self.name = recording.name
        self.fps = fps or recording.fps or DEFAULT_FPS
        self._recording = recording
        self._start, self._limit = start, frames
        train, test = _choose(recording, _names(cameras), _names(test_cameras))
        self._warnings: list[str] = []
        if not recording.fps and not fps:
            self._warnings.append(
                f"the files do not say how many frames a second has: {DEFAULT_FPS:g} assumed"
            )
        if not growing:
            train = self._without_absent(train, asked=cameras is not None)
            test = self._without_absent(test, asked=test_cameras is not None)
        self.train, self.test = train, test
        self._length = 0
        self._count()
        if not growing:
            self._check_length()

    @property
    def warnings(self) -> tuple[str, ...]:
        return (*self._recording.warnings, *self._warnings)

    def __len__(self) -> int:
        return self._length

    def scene(self, frame: int) -> Scene:
        if not 0 <= frame < self._length:
            has = f"has frames 0 to {self._length - 1}" if self._length else "has no frame yet"
            raise ReconError(f"clip {self.name} {has}, not {frame}")
        moment = self._start + frame
        chosen = {*self.train, *self.test}
        here = [
            camera
            for camera in self._recording.cameras
            if camera in chosen and moment in self._recording.present(camera)
        ]
        absent = [camera for camera in (*self.train, *self.test) if camera not in here]
        train = tuple(camera for camera in self.train if camera in here)
        test = tuple(camera for camera in self.test if camera in here)
        if not train:
            raise ReconError(f"clip {self.name}: no training camera has a picture of frame {frame}")
        warnings = (f"frame {frame} has no picture from {_counted(absent)}; left out",) if absent else ()
        return Scene(
            self.name,
            tuple(self._recording.view(camera, moment) for camera in here),
            train,
            test,
            bounds=self._recording.bounds(train),
            warnings=warnings,
        )

    def refresh(self) -> None:
        self._recording.refresh(self._start + self._length if self._length else 0)
        self._count()

    def _count(self) -> None:
        """Count frames to the last one that every training camera has; earlier ones may lack some."""
        shared = set.intersection(*(set(self._recording.present(camera)) for camera in self.train))
        length = max(0, max(shared, default=-1) + 1 - self._start)
        if self._limit is not None:
            length = min(length, self._limit)
        self._length = max(self._length, length)

    def _without_absent(self, cameras: tuple[str, ...], *, asked: bool) -> tuple[str, ...]:
        absent = [camera for camera in cameras if not self._recording.present(camera)]
        if not absent:
            return cameras
        if asked or len(absent) == len(cameras):
            raise ReconError(f"clip {self.name} has no picture at all from {_counted(absent)}: choose others")
        self._warnings.append(f"there is no picture at all from {_counted(absent)}; left out")
        return tuple(camera for camera in cameras if camera not in absent)

    def _check_length(self) -> None:
        lengths = {camera: max(self._recording.present(camera)) + 1 for camera in self.train}
        shortest, longest = min(lengths.values()), max(lengths.values())
        if self._length == 0:
            shared = f"{shortest} frames" if self._start else "no frame that all of them have"
            raise ReconError(
                f"clip {self.name}: the {len(self.train)} training cameras have {shared}, so there is nothing from "
                f"frame {self._start} on: start earlier, choose fewer cameras, or name their pictures alike"
            )
        if self._limit is not None:
            if self._length < self._limit:
                raise ReconError(
                    f"clip {self.name} has {self._length} frames from frame {self._start} on in all of its "
                    f"{len(self.train)} training cameras, not {self._limit}: ask for fewer, or choose other cameras"
                )
        elif shortest < longest:
            short = [camera for camera, length in lengths.items() if length == shortest]
            self._warnings.append(
                f"cameras have between {shortest} and {longest} frames: the clip ends with the shortest "
                f"({_counted(short)})"
            )


def _choose(
    recording: Recording, cameras: tuple[str, ...] | None, test_cameras: tuple[str, ...] | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return training and held-out cameras in the recording's order."""
    for camera in (*(cameras or ()), *(test_cameras or ())):
        if camera not in recording.cameras:
            raise ReconError(
                f"clip {recording.name} has no camera {camera!r}: it has {', '.join(recording.cameras)}"
            )
    both = sorted(set(cameras or ()) & set(test_cameras or ()))
    if both:
        raise ReconError(f"{_counted(both)} cannot be both for training and held out: choose one")
    test = set(recording.held_out if test_cameras is None else test_cameras)
    if cameras is not None:
        train = set(cameras)
        test -= train
    else:
        spared = set(recording.held_out) if recording.split_is_stated else set()
        train = set(recording.cameras) - test - spared
    if not train:
        raise ReconError(f"clip {recording.name} has no training camera left: hold out fewer")
    return (
        tuple(camera for camera in recording.cameras if camera in train),
        tuple(camera for camera in recording.cameras if camera in test),
    )


def _names(cameras: Iterable[str | int] | None) -> tuple[str, ...] | None:
    if isinstance(cameras, str):
        cameras = (cameras,)
    return None if cameras is None else tuple(str(camera) for camera in cameras)


def _counted(cameras: Sequence[str]) -> str:
    """Return "camera 3" or "27 cameras (1, 2, …)"."""
    if len(cameras) == 1:
        return f"camera {cameras[0]}"
    some = ", ".join(cameras[:6]) + (", …" if len(cameras) > 6 else "")
    return f"{len(cameras)} cameras ({some})"
