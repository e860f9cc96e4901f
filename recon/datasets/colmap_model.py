"""Read and write COLMAP's model files, binary and text, checking every count before it is believed.

Source: COLMAP documentation, output format.
"""

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int, UInt8
from numpy import ndarray

from recon.datasets.decode import shown
from recon.errors import ReconError
from recon.files import atomic_write

MODELS = {
    0: ("SIMPLE_PINHOLE", 3),
    1: ("PINHOLE", 4),
    2: ("SIMPLE_RADIAL", 4),
    3: ("RADIAL", 5),
    4: ("OPENCV", 8),
    5: ("OPENCV_FISHEYE", 8),
    6: ("FULL_OPENCV", 12),
    7: ("FOV", 5),
    8: ("SIMPLE_RADIAL_FISHEYE", 4),
    9: ("RADIAL_FISHEYE", 5),
    10: ("THIN_PRISM_FISHEYE", 12),
}
"""Camera models by COLMAP's number: name and how many parameters."""

PARAMETERS = dict(MODELS.values())


@dataclass(frozen=True)
class ColmapCamera:
    """Intrinsics as COLMAP keeps them."""

    model: str
    width: int
    height: int
    parameters: tuple[float, ...]


@dataclass(frozen=True)
class ColmapImage:
    """A posed image: world to camera, quaternion (w, x, y, z)."""

    name: str
    camera_id: int
    quaternion: tuple[float, ...]
    translation: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class ColmapPoints:
    """Triangulated points; `track_images[track_starts[i]:track_starts[i + 1]]` are the images that see point i."""

    positions: Float[ndarray, "N 3"]
    colors: UInt8[ndarray, "N 3"]
    track_starts: Int[ndarray, "N+1"]
    track_images: Int[ndarray, " M"]


def _no_points() -> ColmapPoints:
    return ColmapPoints(
        np.zeros((0, 3)), np.zeros((0, 3), np.uint8), np.zeros(1, np.int64), np.zeros(0, np.int64)
    )


@dataclass(frozen=True, eq=False)
class ColmapModel:
    """A reconstruction: cameras and images by COLMAP's ids, and points."""

    cameras: dict[int, ColmapCamera]
    images: dict[int, ColmapImage]
    points: ColmapPoints = field(default_factory=_no_points)


def read_model(folder: Path) -> ColmapModel:
    """Read a model from cameras, images and points3D files, binary where they exist, else text.

    Raises:
        ReconError: when a file is missing, ends early, counts wrongly or refers to what does not exist.
    """
    ending = ".bin" if (folder / "cameras.bin").is_file() else ".txt"
    for stem in ("cameras", "images"):
        if not (folder / f"{stem}{ending}").is_file():
            raise ReconError(f"{shown(folder)} is an incomplete COLMAP model: {stem}{ending} is missing")
    readers = (
        (_cameras_binary, _images_binary, _points_binary)
        if ending == ".bin"
        else (
            _cameras_text,
            _images_text,
            _points_text,
        )
    )
    cameras = _read(readers[0], folder / f"cameras{ending}")
    images = _read(readers[1], folder / f"images{ending}")
    points_file = folder / f"points3D{ending}"
    points = _read(readers[2], points_file) if points_file.is_file() else _no_points()
    for image in images.values():
        if image.camera_id not in cameras:
            raise ReconError(
                f"{shown(folder)}: image {image.name} uses camera {image.camera_id}, which is not listed"
            )
    return ColmapModel(cameras, images, points)


def write_model(folder: Path, model: ColmapModel, *, text: bool = False) -> None:
    """Write cameras, images and points3D files; images list no feature points, points no tracks."""
    if text:
        _write_text(folder, model)
    else:
        _write_binary(folder, model)


def _read(reader, path: Path):
    try:
        return reader(path)
    except ReconError as error:
        raise ReconError(f"{shown(path)}: {error}") from error
    except OSError as error:
        raise ReconError(f"{shown(path)} cannot be read: {error.strerror}") from error
    except (ValueError, IndexError, OverflowError) as error:
        raise ReconError(f"{shown(path)} is not a COLMAP file: {error}") from error


class _Bytes:
    """A binary file that is never read past its end."""

    def __init__(self, path: Path) -> None:
        self.data = path.read_bytes()
        self.position = 0

    def take(self, layout: str) -> tuple:
        size = struct.calcsize(layout)
        self.require(size)
        values = struct.unpack_from(layout, self.data, self.position)
        self.position += size
        return values

    def skip(self, size: int) -> None:
        self.require(size)
        self.position += size

    def require(self, size: int) -> None:
        if size > len(self.data) - self.position:
            raise ReconError("the file ends early or its counts are wrong: copy or write the model again")

    def count(self, bytes_each: int) -> int:
        """Read a count of entries, each at least so many bytes long."""
        (count,) = self.take("<Q")
        if count * bytes_each > len(self.data) - self.position:
            raise ReconError(
                f"it claims {count} entries, more than its {len(self.data)} bytes can hold: write the model again"
            )
        return count

    def text(self) -> str:
        end = self.data.find(b"\0", self.position)
        if end < 0:
            raise ReconError("a name has no end: copy or write the model again")
        text = self.data[self.position : end].decode("utf-8", errors="replace")
        self.position = end + 1
        return text


def _cameras_binary(path: Path) -> dict[int, ColmapCamera]:
    file = _Bytes(path)
    cameras = {}
    for _ in range(file.count(24)):
        number, model, width, height = file.take("<iiQQ")
        if model not in MODELS:
            raise ReconError(f"camera {number} has the unknown model number {model}: {_REMEDY}")
        name, count = MODELS[model]
        cameras[number] = _checked(number, ColmapCamera(name, width, height, file.take(f"<{count}d")))
    return cameras


def _images_binary(path: Path) -> dict[int, ColmapImage]:
    file = _Bytes(path)
    images = {}
    for _ in range(file.count(73)):
        number, *pose, camera = file.take("<i7di")
        name = file.text()
        file.skip(24 * file.count(24))
        images[number] = ColmapImage(name, camera, tuple(pose[:4]), tuple(pose[4:]))
    return images


def _points_binary(path: Path) -> ColmapPoints:
    file = _Bytes(path)
    count = file.count(51)
    positions, colors = np.zeros((count, 3)), np.zeros((count, 3), np.uint8)
    starts, tracks = np.zeros(count + 1, np.int64), []
    for row in range(count):
        _, *values = file.take("<Q3d3Bd")
        positions[row], colors[row] = values[:3], values[3:6]
        length = file.count(8)
        track = np.frombuffer(file.data, dtype="<i4", count=2 * length, offset=file.position)[::2]
        file.skip(8 * length)
        tracks.append(track)
        starts[row + 1] = starts[row] + length
    images = np.concatenate(tracks).astype(np.int64) if tracks else np.zeros(0, np.int64)
    return ColmapPoints(positions, colors, starts, images)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line number, line) of all lines that are no comments; empty ones matter in images.txt."""
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        if not line.startswith("#"):
            yield number, line


def _cameras_text(path: Path) -> dict[int, ColmapCamera]:
    cameras = {}
    for number, line in _lines(path):
        words = line.split()
        if not words:
            continue
        if len(words) < 5:
            raise ReconError(f"line {number} is not CAMERA_ID MODEL WIDTH HEIGHT PARAMS")
        model = words[1]
        if model not in PARAMETERS:
            raise ReconError(f"line {number} names the unknown camera model {model}: {_REMEDY}")
        if len(words) != 4 + PARAMETERS[model]:
            raise ReconError(
                f"line {number}: {model} has {PARAMETERS[model]} parameters, found {len(words) - 4}"
            )
        parameters = tuple(float(word) for word in words[4:])
        camera = ColmapCamera(model, int(words[2]), int(words[3]), parameters)
        cameras[int(words[0])] = _checked(int(words[0]), camera)
    return cameras


def _images_text(path: Path) -> dict[int, ColmapImage]:
    """Every image has two lines; the second, with its feature points, may be empty."""
    images = {}
    lines = list(_lines(path))
    while lines and not lines[0][1].strip():
        lines.pop(0)
    for number, line in lines[::2]:
        words = line.split(maxsplit=9)
        if not words:
            continue
        if len(words) != 10:
            raise ReconError(f"line {number} is not IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME")
        pose = [float(word) for word in words[1:8]]
        images[int(words[0])] = ColmapImage(words[9].strip(), int(words[8]), tuple(pose[:4]), tuple(pose[4:]))
    return images


def _points_text(path: Path) -> ColmapPoints:
    positions: list[list[float]] = []
    colors: list[list[int]] = []
    starts, images = [0], list[int]()
    for number, line in _lines(path):
        words = line.split()
        if not words:
            continue
        if len(words) < 8 or len(words) % 2:
            raise ReconError(f"line {number} is not POINT3D_ID X Y Z R G B ERROR and pairs of numbers")
        positions.append([float(word) for word in words[1:4]])
        colors.append([min(255, max(0, int(word))) for word in words[4:7]])
        images.extend(int(word) for word in words[8::2])
        starts.append(len(images))
    if not positions:
        return _no_points()
    return ColmapPoints(
        np.array(positions), np.array(colors, np.uint8), np.array(starts), np.array(images, np.int64)
    )


_REMEDY = "undistort the pictures first with `colmap image_undistorter`"


def _checked(number: int, camera: ColmapCamera) -> ColmapCamera:
    if not (0 < camera.width < 1 << 20 and 0 < camera.height < 1 << 20):
        raise ReconError(f"camera {number} has the impossible picture size {camera.width}x{camera.height}")
    if not all(math.isfinite(value) for value in camera.parameters):
        raise ReconError(f"camera {number} has NaN or infinite parameters")
    return camera


def _write_binary(folder: Path, model: ColmapModel) -> None:
    numbers = {name: number for number, (name, _) in MODELS.items()}
    data = bytearray(struct.pack("<Q", len(model.cameras)))
    for key, camera in model.cameras.items():
        data += struct.pack("<iiQQ", key, numbers[camera.model], camera.width, camera.height)
        data += struct.pack(f"<{len(camera.parameters)}d", *camera.parameters)
    _write_bytes(folder / "cameras.bin", data)
    data = bytearray(struct.pack("<Q", len(model.images)))
    for key, image in model.images.items():
        data += struct.pack("<i7di", key, *image.quaternion, *image.translation, image.camera_id)
        data += image.name.encode("utf-8") + b"\0" + struct.pack("<Q", 0)
    _write_bytes(folder / "images.bin", data)
    data = bytearray(struct.pack("<Q", len(model.points.positions)))
    for key, (position, color) in enumerate(
        zip(model.points.positions, model.points.colors, strict=True), start=1
    ):
        data += struct.pack("<Q3d3BdQ", key, *position, *color.tolist(), 0.0, 0)
    _write_bytes(folder / "points3D.bin", data)


def _write_text(folder: Path, model: ColmapModel) -> None:
    lines = ["# CAMERA_ID MODEL WIDTH HEIGHT PARAMS[]"]
    for key, camera in model.cameras.items():
        lines.append(
            " ".join(map(_exact, (key, camera.model, camera.width, camera.height, *camera.parameters)))
        )
    _write_lines(folder / "cameras.txt", lines)
    lines = [
        "# IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME; the second line of each image would list its points"
    ]
    for key, image in model.images.items():
        pose = map(_exact, (key, *image.quaternion, *image.translation, image.camera_id, image.name))
        lines += [" ".join(pose), ""]
    _write_lines(folder / "images.txt", lines)
    lines = ["# POINT3D_ID X Y Z R G B ERROR TRACK[] as (IMAGE_ID, POINT2D_IDX)"]
    for key, (position, color) in enumerate(
        zip(model.points.positions, model.points.colors, strict=True), start=1
    ):
        lines.append(" ".join(map(_exact, (key, *position.tolist(), *color.tolist(), 0.0))))
    _write_lines(folder / "points3D.txt", lines)


def _exact(value: object) -> str:
    """Write a number so that reading it gives the same bits back."""
    return repr(value) if isinstance(value, float) else str(value)


def _write_lines(path: Path, lines: list[str]) -> None:
    _write_bytes(path, ("\n".join(lines) + "\n").encode("utf-8"))


def _write_bytes(path: Path, data: bytes | bytearray) -> None:
    with atomic_write(path) as file:
        file.write(data)
