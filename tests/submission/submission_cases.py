"""A tiny SpaRe folder, zips of any content, and PNGs of any kind."""

import io
import json
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from recon.datasets.spare import picture_name
from recon.scene import look_at
from recon.submission.spare import SIZE, Asked

SPLITS = {
    ("1", "development"): {
        "scan1": ([1, 4, 7], [2, 5, 8], "DTU"),
        "scan2": ([0, 3, 6], [2, 4], "DTU"),
        "Jenga": ([1, 2, 3], [5, 6], "Synthetic"),
    },
    ("1", "test"): {"scan9": ([1, 2, 3], [4, 5], "DTU")},
}


def write_spare_folder(folder: Path, size: tuple[int, int] = SIZE) -> None:
    """Write split files, the calibration of ten views of each half, and the inputs' pictures."""
    for (track, split), scenes in SPLITS.items():
        content = {
            name: {"input_views": inputs, "test_views": tests, "dataset": half}
            for name, (inputs, tests, half) in scenes.items()
        }
        (folder / f"Track{track}_split_{split}.json").write_text(json.dumps(content))
        for name, (inputs, _, half) in scenes.items():
            for view in inputs:
                file = folder / "images" / name / picture_name(view, half)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(png(f"input {name} {view}", size))
    for calibration in ("dtu_calibration", "synth_calibration"):
        (folder / calibration).mkdir()
        for view in range(10):
            np.savetxt(folder / calibration / f"pos_{view + 1:03d}.txt", projection(view))


def projection(view: int) -> np.ndarray:
    """Return the 3x4 matrix of a camera that looks at the origin from somewhere on an arc."""
    angle = 0.1 * view
    pose = look_at(
        np.array([3 * np.sin(angle), -0.8, 3 * np.cos(angle)]), np.zeros(3), np.array([0.0, -1, 0])
    )
    return np.array([[1700.0, 0, 800], [0, 1700, 600], [0, 0, 1]]) @ pose[:3]


def valid_submission(asked: Asked) -> dict[str, bytes]:
    files = {"readme.txt": b"runtime per image [s] : 0.1\n"}
    for scene in asked.scenes.values():
        for name in scene.pictures:
            files[f"{scene.name}/{name}"] = png(f"{scene.name} {name}")
    return files


def png(what: str, size: tuple[int, int] = SIZE, mode: str = "RGB", **options) -> bytes:
    """Return a cheap PNG whose pixels depend on `what`: two colours, so that it is not empty."""
    seed = np.random.default_rng(zlib.crc32(what.encode()))
    picture = Image.new("RGB", size, tuple(int(value) for value in seed.integers(0, 120, 3)))
    picture.paste(tuple(int(value) for value in seed.integers(130, 255, 3)), (0, 0, size[0], size[1] // 2))
    file = io.BytesIO()
    picture.convert(mode).save(file, format=options.pop("format", "PNG"), compress_level=1, **options)
    return file.getvalue()


def chunk(name: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(name + content)
    return len(content).to_bytes(4, "big") + name + content + checksum.to_bytes(4, "big")


def header(width: int, height: int, depth: int = 8, color: int = 2) -> bytes:
    """Return signature and IHDR of a PNG."""
    content = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([depth, color, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", content)


def with_chunk(content: bytes, name: bytes, data: bytes) -> bytes:
    """Put a chunk behind the header of a PNG."""
    return content[:33] + chunk(name, data) + content[33:]


def write_zip(
    path: Path, files: dict[str, bytes] | Iterable[tuple[str | zipfile.ZipInfo, bytes]], **options
) -> Path:
    items = files.items() if isinstance(files, dict) else files
    with zipfile.ZipFile(path, "w", options.pop("compression", zipfile.ZIP_DEFLATED), **options) as archive:
        for name, content in items:
            archive.writestr(name, content)
    return path
