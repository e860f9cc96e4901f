"""`manifest.json`: which files a stream has, and which frames are in them."""

from __future__ import annotations

import hashlib
import math
import os
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from recon.errors import ReconError
from recon.files import read_json, write_json
from recon.scene import Camera
from recon.streaming.layout import MAX_RECORD, MAX_ROWS, MAX_SEGMENT_RECORDS, VERSION

MANIFEST = "manifest.json"
FORMAT = "recon-stream"
MAX_FILES = 1 << 17
MAX_FRAMES = 1 << 24
NEAR = 0.01
"""Near plane of manifests that name none, the rasterizer's."""

FILE_NAME = re.compile(r"(key|preview|segment)-[0-9]{6,8}-[0-9a-f]{16}\.rst")
"""Every name that a file of records can have; nothing else is served."""


@dataclass
class KeyframeFile:
    """A file with one keyframe.

    Attributes:
        name: `key-` or `preview-`, the frame, and the first 16 digits of its SHA-256.
        gaussians: how many it holds.
    """

    name: str
    frame: int
    bytes: int
    sha256: str
    gaussians: int

    @property
    def preview(self) -> bool:
        return self.name.startswith("preview-")


@dataclass
class SegmentFile:
    """A file with the residuals of frames `start` to `start + frames - 1`."""

    name: str
    start: int
    frames: int
    bytes: int
    sha256: str


@dataclass
class Manifest:
    """What there is of a stream.

    Attributes:
        fps: frames per second at which it was recorded.
        frames: how many there are so far, counted from 0.
        live: more may follow.
        sh_degree: of the Gaussians' colours.
        max_gaussians: most in any frame so far.
        bounds: lowest and highest corner of the means of frame 0, world units.
        up: direction that is up in the pictures.
        near: depth (z) up to which nothing is drawn.
        cameras: as in `api/session` of the viewer's protocol, photos aside.
        licence: words for whoever plays it.
    """

    fps: float
    sh_degree: int
    bounds: list[list[float]]
    frames: int = 0
    live: bool = True
    max_gaussians: int = 0
    title: str = ""
    licence: str = ""
    up: list[float] = field(default_factory=lambda: [0.0, -1.0, 0.0])
    near: float = NEAR
    cameras: list[dict[str, Any]] = field(default_factory=list)
    keyframes: list[KeyframeFile] = field(default_factory=list)
    segments: list[SegmentFile] = field(default_factory=list)

    def keyframe_before(self, frame: int) -> KeyframeFile:
        """Return the last full keyframe at or before a frame.

        Raises:
            ReconError: when the stream does not have the frame.
        """
        if not 0 <= frame < self.frames:
            raise ReconError(f"the stream has frames 0 to {self.frames - 1}, not {frame}")
        return max(
            (one for one in self.keyframes if not one.preview and one.frame <= frame),
            key=lambda one: one.frame,
        )

    def segment_of(self, frame: int) -> SegmentFile | None:
        """Return the segment that has the residual of a frame, or None where only a keyframe leads to it."""
        return next((one for one in self.segments if one.start <= frame < one.start + one.frames), None)

    def write(self, folder: str | os.PathLike[str]) -> None:
        """Write `manifest.json`."""
        write_json(Path(folder) / MANIFEST, {"format": FORMAT, "version": VERSION, **asdict(self)})


def read_manifest(folder: str | os.PathLike[str]) -> Manifest:
    """Read and check `manifest.json`.

    Raises:
        ReconError: when it is missing, of another version, or does not describe a stream.
    """
    path = Path(folder) / MANIFEST
    return check_manifest(read_json(path), str(path))


def check_manifest(data: Any, source: str) -> Manifest:
    """Return the manifest that JSON data states.

    Raises:
        ReconError: as `read_manifest`.
    """
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise ReconError(f"{source} is not the manifest of a recon stream: it does not say {FORMAT}")
    if data.get("version") != VERSION:
        raise ReconError(f"{source} is of version {data.get('version')}; version {VERSION} is read")
    try:
        manifest = Manifest(
            fps=_number(data["fps"], 1e-3, 1e4),
            sh_degree=_whole(data["sh_degree"], 0, 3),
            bounds=[[_number(x) for x in _items(corner, 3)] for corner in _items(data["bounds"], 2)],
            frames=_whole(data["frames"], 0, MAX_FRAMES),
            live=_is(data["live"], bool),
            max_gaussians=_whole(data["max_gaussians"], 0, MAX_ROWS),
            title=_is(data["title"], str),
            licence=_is(data["licence"], str),
            up=[_number(x) for x in _items(data["up"], 3)],
            near=_number(data.get("near", NEAR), 0.0),
            cameras=[_is(one, dict) for one in _is(data["cameras"], list)],
            keyframes=[_keyframe(one) for one in _is(data["keyframes"], list)],
            segments=[_segment(one) for one in _is(data["segments"], list)],
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        what = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)
        raise ReconError(f"{source} is not a manifest of a recon stream: {what}") from None
    _check_coverage(manifest, source)
    return manifest


def camera_entry(number: int, name: str, role: str, camera: Camera) -> dict[str, Any]:
    """Return a camera as manifests and `api/session` of the viewer's protocol tell it, photos aside."""
    return {
        "id": f"c{number}",
        "name": name,
        "role": role,
        "width": camera.width,
        "height": camera.height,
        "intrinsics": camera.intrinsics.tolist(),
        "world_to_camera": camera.world_to_camera.ravel().tolist(),
    }


def file_name(kind: Literal["key", "preview", "segment"], frame: int, sha256: str) -> str:
    """Return the name of a file, which never changes because its content is part of it."""
    return f"{kind}-{frame:06d}-{sha256[:16]}.rst"


def digest(content: bytes) -> str:
    """Return the SHA-256 in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def _check_coverage(manifest: Manifest, source: str) -> None:
    if len(manifest.keyframes) + len(manifest.segments) > MAX_FILES:
        raise ReconError(f"{source} names more than {MAX_FILES} files")
    keys = {one.frame for one in manifest.keyframes if not one.preview}
    frame = 0
    for segment in [*manifest.segments, None]:
        start = manifest.frames if segment is None else segment.start
        if start < frame:
            raise ReconError(f"{source}: the segments are out of order or overlap at frame {start}")
        missing = next((one for one in range(frame, start) if one not in keys), None)
        if missing is not None:
            raise ReconError(f"{source}: no segment and no keyframe leads to frame {missing}")
        frame = start if segment is None else start + segment.frames
    if frame > manifest.frames or any(one.frame >= manifest.frames for one in manifest.keyframes):
        raise ReconError(f"{source}: it states {manifest.frames} frames, but files go beyond them")


def _keyframe(data: Any) -> KeyframeFile:
    file = KeyframeFile(
        _is(data["name"], str),
        _whole(data["frame"], 0, MAX_FRAMES),
        _whole(data["bytes"], 1, MAX_RECORD + 16),
        _is(data["sha256"], str),
        _whole(data["gaussians"], 1, MAX_ROWS),
    )
    _check_name(file, file.frame, ("key", "preview"))
    return file


def _segment(data: Any) -> SegmentFile:
    file = SegmentFile(
        _is(data["name"], str),
        _whole(data["start"], 1, MAX_FRAMES),
        _whole(data["frames"], 1, MAX_SEGMENT_RECORDS),
        _whole(data["bytes"], 1, MAX_RECORD + 16),
        _is(data["sha256"], str),
    )
    _check_name(file, file.start, ("segment",))
    return file


def _check_name(file: KeyframeFile | SegmentFile, frame: int, kinds: tuple[str, ...]) -> None:
    match = FILE_NAME.fullmatch(file.name)
    if (
        match is None
        or match[1] not in kinds
        or not re.fullmatch("[0-9a-f]{64}", file.sha256)
        or file.name != file_name(match[1], frame, file.sha256)  # type: ignore[arg-type]
    ):
        raise ValueError(f"{file.name[:80]!r} is not the name of a file with that frame and SHA-256")


def _is(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"expected {kind.__name__}, found {type(value).__name__}")
    return value


def _items(value: Any, count: int) -> list[Any]:
    if len(_is(value, list)) != count:
        raise ValueError(f"expected {count} values, found {len(value)}")
    return value


def _number(value: Any, least: float = -math.inf, most: float = math.inf) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise TypeError(f"expected a number, found {str(value)[:40]}")
    if not least <= value <= most:
        raise ValueError(f"expected {least:g} to {most:g}, found {value:g}")
    return float(value)


def _whole(value: Any, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f"expected a whole number from {least} to {most}, found {str(value)[:40]}")
    return value
