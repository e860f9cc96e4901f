"""Read single pictures of a video file, exactly the one that is asked for."""

import threading
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray

from recon.datasets.decode import MAX_PIXELS, shown
from recon.errors import ReconError

DEMUXERS = {".mp4": "mov", ".m4v": "mov", ".mov": "mov", ".webm": "matroska", ".mkv": "matroska"}
"""The one reader that may look at a file, by its name's ending: others start from play lists and open further files."""

_BT601, _LIMITED, _FULL = 5, 1, 2
_COLOR_MATRICES = (1, 4, 5, 6, 7, 9)
"""BT.709, FCC, BT.601 (twice), SMPTE 240M, BT.2020: the same numbers in files (ITU-T H.273) and to the converter."""


class VideoFile:
    """A video whose pictures are numbered in the order in which they are shown.

    All packets are listed once without decoding, which tells how many pictures there are and when each is shown. Who
    asks for one picture after the other has each decoded once; any other one is found from the key picture before it.
    One decoded picture is kept. Calls may come from several threads.

    Attributes:
        times: [N] seconds at which the pictures are shown, from the first one's.
        rate: pictures per second, None for a single picture.

    Raises:
        ReconError: when the file is no video, is cut off, or holds no picture.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._container: Any = None
        self._decoded: Iterator[Any] = iter(())
        self._last = -1
        self._picture: UInt8[ndarray, "H W 3"] | None = None
        self._quarter_turns = 0
        self._list()

    def __len__(self) -> int:
        return len(self._stamps)

    @property
    def quarter_turns(self) -> int:
        """How often the pictures, as stored, are to be turned counterclockwise by 90 degrees to be upright."""
        with self._lock:
            if self._picture is None:
                self._read(0)
            return self._quarter_turns

    def picture(self, number: int) -> UInt8[ndarray, "H W 3"]:
        """Decode a picture, as stored: sRGB bytes.

        Raises:
            ReconError: when it is damaged.
        """
        with self._lock:
            if self._last != number or self._picture is None:
                self._read(number)
            assert self._picture is not None
            return self._picture

    def close(self) -> None:
        """Give back the file and the picture; the next call opens it again."""
        with self._lock:
            self._forget()
            self._picture = None

    def _list(self) -> None:
        """List the pictures that the packets hold."""
        with self._opened() as container:
            stream = container.streams.video[0]
            self.width, self.height = stream.codec_context.width, stream.codec_context.height
            if not 0 < self.width * self.height <= MAX_PIXELS:
                raise ReconError(
                    f"{self._name} has pictures of {self.width}x{self.height}, more than this program accepts: "
                    "scale it down"
                )
            stamps, keys, held = [], [], 0
            for packet in container.demux(stream):
                held += not packet.is_corrupt and (packet.size > 0 or packet.pts is not None)
                if packet.size == 0 or packet.is_discard or packet.is_corrupt:
                    continue  # the end, what an edit list cuts off, or the torn end of a file
                if packet.pts is None:
                    raise ReconError(
                        f"{self._name} does not say when its pictures are shown: convert it, "
                        "for example with `ffmpeg -i FILE OUT.mp4`"
                    )
                stamps.append(packet.pts)
                if packet.is_keyframe:
                    keys.append(packet.pts)
            listed, base = stream.frames, float(stream.time_base)
            average = float(stream.average_rate) if stream.average_rate else None
        self._stamps = sorted(set(stamps))
        if not self._stamps or not keys:
            raise ReconError(
                f"{self._name} holds no pictures: it is cut off or damaged: copy it again from the camera"
            )
        if held < listed:
            raise ReconError(
                f"{self._name} is cut off: it lists {listed} pictures and holds {held}: copy it again"
            )
        self._numbers = {stamp: number for number, stamp in enumerate(self._stamps)}
        self._keys = sorted(self._numbers[stamp] for stamp in set(keys))
        self.times: Float[ndarray, " N"] = (np.array(self._stamps) - self._stamps[0]) * base
        self.rate = _rate(self.times, average)

    def _read(self, number: int) -> None:
        """Decode a picture into `_picture`, going on from the last one where that is the shortest way."""
        before = bisect_right(self._keys, number)
        key = self._keys[before - 1] if before else 0
        if self._container is None or not self._last < number or key > self._last + 1:
            self._start(key)
        if not self._advance(number):
            self._start(0)  # some files start elsewhere than they were told to
            if not self._advance(number):
                raise self._damaged(number)

    def _start(self, key: int) -> None:
        self._forget()
        import av

        with self._told_as_sentence():
            self._container = av.open(str(self.path), format=DEMUXERS[self.path.suffix.lower()])
            stream = self._container.streams.video[0]
            stream.codec_context.thread_count = 1  # a clip has many videos open
            if key > 0:
                self._container.seek(self._stamps[key], stream=stream)
            self._decoded = self._container.decode(stream)

    def _advance(self, number: int) -> bool:
        """Decode up to a picture; false when the file ends or has passed it."""
        with self._told_as_sentence(number):
            for frame in self._decoded:
                reached = self._numbers.get(frame.pts, -1)
                if reached > number:
                    return False
                if reached == number:
                    if frame.is_corrupt or (frame.width, frame.height) != (self.width, self.height):
                        raise self._damaged(number)
                    self._picture = _rgb(frame)
                    self._quarter_turns = round(frame.rotation / 90) % 4
                    self._last = number
                    return True
        return False

    def _forget(self) -> None:
        if self._container is not None:
            self._container.close()
        self._container, self._decoded, self._last = None, iter(()), -1

    @property
    def _name(self) -> str:
        return shown(self.path.name)

    def _damaged(self, number: int) -> ReconError:
        self._forget()
        return ReconError(
            f"{self._name} is damaged: picture {number} of {len(self)} cannot be decoded: copy the file again, or end "
            "before that picture"
        )

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        import av

        demuxer = DEMUXERS[self.path.suffix.lower()]
        with self._told_as_sentence(), av.open(str(self.path), format=demuxer) as container:
            if not container.streams.video:
                raise ReconError(
                    f"{self._name} holds no pictures: it is cut off or has sound only: copy it again from the camera"
                )
            yield container

    @contextmanager
    def _told_as_sentence(self, number: int | None = None) -> Iterator[None]:
        import av

        try:
            yield
        except ReconError:
            raise
        except (av.FFmpegError, OSError, ValueError, MemoryError) as error:
            if number is not None:
                raise self._damaged(number) from error
            self._forget()
            reason = getattr(error, "strerror", None) or error  # the latter repeats the path
            raise ReconError(
                f"{self._name} is not a readable video ({reason}): copy it again from the camera, or convert it with "
                "`ffmpeg -i FILE OUT.mp4`"
            ) from error


def _rgb(frame: Any) -> UInt8[ndarray, "H W 3"]:
    """Convert by the colour matrix and the range that the file states; without them, as FFmpeg does."""
    matrix, span = int(frame.colorspace), int(frame.color_range)
    return frame.to_ndarray(
        format="rgb24",
        src_colorspace=matrix if matrix in _COLOR_MATRICES else _BT601,
        dst_colorspace=_BT601,  # means nothing for RGB, but av 15 and 16 look at either only if they differ
        src_color_range=span if span in (_LIMITED, _FULL) else _LIMITED,
        dst_color_range=_FULL,
    )


def _rate(times: Float[ndarray, " N"], average: float | None) -> float | None:
    """Return the pictures per second, as the file says it where that is true (29.97 instead of 29.9701)."""
    if len(times) < 2 or times[-1] <= 0:
        return None
    measured = (len(times) - 1) / float(times[-1])
    return average if average and abs(average - measured) < 0.002 * measured else measured
