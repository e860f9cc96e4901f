"""A folder of photos without cameras."""

import hashlib
from pathlib import Path

from recon.datasets.decode import SUFFIXES, read_header, shown
from recon.datasets.folder import describe_contents, picture_files
from recon.datasets.posed_view import load_pixels
from recon.datasets.resize import PictureSize
from recon.errors import ReconError
from recon.scene import Photo, PhotoSet

INNER_FOLDERS = ("images", "image", "photos", "rgb", "input")
"""Where photos are looked for when the folder itself holds none."""


def open_photos(folder: Path | str, size: PictureSize | None = None) -> PhotoSet:
    """List the photos of a folder, upright as EXIF says, in name order; nothing is changed in the folder.

    Sizes may differ from photo to photo. Copies of a photo (the same bytes) are left out with a warning. A
    transparent photo's alpha becomes its mask, with white behind it.

    Raises:
        ReconError: when there are fewer than two different photos, or a file is not a readable picture.
    """
    folder, size = Path(folder), size or PictureSize()
    files = _photos_in(folder)
    if not files:
        raise ReconError(
            f"{shown(folder)} has no photos: it {describe_contents(folder)}. "
            f"Photos end in {', '.join(sorted(SUFFIXES))}"
        )
    different, warnings = _without_copies(files)
    if len(different) < 2:
        raise ReconError(
            f"{shown(folder)} has only one {'different ' if warnings else ''}photo ({different[0].name}): "
            "take at least one more from another place, better three to twelve that overlap"
        )
    photos = tuple(_photo(file, size) for file in different)
    return PhotoSet(folder.resolve().name, photos, warnings)


def _photos_in(folder: Path) -> list[Path]:
    if not folder.exists():
        raise ReconError(f"{shown(folder)} does not exist: give the folder that holds the photos")
    if not folder.is_dir():
        raise ReconError(f"{shown(folder)} is a file: give the folder that holds the photos")
    files = picture_files(folder)
    for inner in INNER_FOLDERS:
        if not files and (folder / inner).is_dir():
            files = picture_files(folder / inner)
    return files


def _without_copies(files: list[Path]) -> tuple[list[Path], tuple[str, ...]]:
    """Keep the first of photos whose files are equal; a pair of equal photos has no depth."""
    first: dict[bytes, Path] = {}
    warnings = []
    for file in files:
        original = first.setdefault(_digest(file), file)
        if original is not file:
            warnings.append(f"{file.name} is a copy of {original.name} and was left out")
    return list(first.values()), tuple(warnings)


def _digest(file: Path) -> bytes:
    digest = hashlib.sha256()
    try:
        with open(file, "rb") as content:
            while block := content.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise ReconError(f"{shown(file)} cannot be read: {error.strerror}") from error
    return digest.digest()


def _photo(file: Path, size: PictureSize) -> Photo:
    header = read_header(file)
    width, height = header.upright_size
    target = size.of(width, height)
    focal = header.focal_pixels
    return Photo(
        file.name,
        *target,
        focal_pixels=None if focal is None else focal * target[0] / width,
        load=lambda: load_pixels(file, target, upright=True),
    )
