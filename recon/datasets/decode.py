"""Read a picture file: its size and focal length from the header alone, or its pixels."""

import io
import math
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from recon.errors import ReconError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".heic", ".heif", ".avif", ".bmp"})
"""File name endings that count as a photo."""

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF", "BMP")
"""Decoders that may run; Pillow's others (some start programs) never see a user's file."""

MAX_PIXELS = 150_000_000
"""Refuse larger pictures before decoding: 12 bytes per pixel as float32 make 1.8 GB. Phones reach 108 million."""

DIAGONAL_35MM = math.hypot(36.0, 24.0)
"""The 35 mm frame's diagonal in millimetres; equivalent focal lengths compare diagonals (CIPA DCG-001)."""


@dataclass(frozen=True)
class PictureHeader:
    """What a picture file says about itself before any pixel is decoded.

    Attributes:
        width, height: size in pixels as stored, before the EXIF orientation is applied.
        turned: whether the EXIF orientation exchanges width and height.
        focal_pixels: focal length in pixels of the stored size from the EXIF tags, None when they do not say.
    """

    width: int
    height: int
    turned: bool
    focal_pixels: float | None

    @property
    def upright_size(self) -> tuple[int, int]:
        """(width, height) once the EXIF orientation is applied."""
        return (self.height, self.width) if self.turned else (self.width, self.height)


@dataclass(frozen=True, eq=False)
class Picture:
    """Decoded pixels.

    Attributes:
        color: [H, W, 3] float32, sRGB values in [0, 1].
        alpha: [H, W] float32 coverage in [0, 1], None when the file has no transparency.
    """

    color: Float[ndarray, "H W 3"]
    alpha: Float[ndarray, "H W"] | None


def read_header(path: Path) -> PictureHeader:
    """Read a picture's size, orientation and focal length without decoding it.

    Raises:
        ReconError: when the file cannot be read, is not a picture, or is absurdly large.
    """
    with _opened(path) as image:
        exif = _exif(image)
        width, height = image.size
        turned = exif.get(_ORIENTATION, 1) in (5, 6, 7, 8)
        if turned and image.format == "TIFF":  # Pillow reports a TIFF's size already upright
            width, height = height, width
        return PictureHeader(width, height, turned, _focal_pixels(exif, width, height))


def decode(path: Path, *, upright: bool = True) -> Picture:
    """Decode a picture of any supported kind (gray, palette, CMYK, 16 bit, transparent, any colour profile).

    Args:
        upright: apply the EXIF orientation; false gives the pixels as stored, which is what cameras of posed
            data sets refer to.

    Raises:
        ReconError: when the file cannot be read, is damaged, is not a picture, or is absurdly large.
    """
    from PIL import ImageOps

    with _opened(path) as image:
        orientation = _exif(image).get(_ORIENTATION, 1)
        image.load()
        if image.format == "TIFF":
            if not upright and orientation != 1:
                image = _transposed(image, _INVERSE_ORIENTATION.get(orientation, orientation))
        elif upright:
            image = ImageOps.exif_transpose(image)
        return _picture(image, path)


def shown(path: Path | str) -> str:
    """Return a path as text that can always be printed, whatever bytes the file name holds."""
    return os.fsencode(path).decode("utf-8", errors="replace")


_ORIENTATION, _FOCAL_LENGTH, _FOCAL_LENGTH_35MM = 0x0112, 0x920A, 0xA405
_PIXEL_WIDTH, _PIXEL_HEIGHT = 0xA002, 0xA003
_FOCAL_PLANE_X_RESOLUTION, _FOCAL_PLANE_UNIT = 0xA20E, 0xA210
_UNIT_IN_MILLIMETRES = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}
_INVERSE_ORIENTATION = {6: 8, 8: 6}  # the other orientations are their own inverses


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a picture, turning everything a damaged file can raise inside a decoder into a sentence."""
    from PIL import Image, UnidentifiedImageError

    _register_heif()
    Image.init()
    formats = [name for name in FORMATS if name in Image.OPEN]
    name = shown(path.name)
    try:
        with open(path, "rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # decoders warn about harmless oddities; size is checked below
            image = Image.open(file, formats=formats)
            if image.width * image.height > MAX_PIXELS:
                raise _too_large(name, f"{image.width}x{image.height}")
            yield image
    except ReconError:
        raise
    except UnidentifiedImageError as error:
        raise ReconError(_not_a_picture(path)) from error
    except Image.DecompressionBombError as error:
        raise _too_large(name, "far more") from error
    except (PermissionError, FileNotFoundError, IsADirectoryError) as error:
        raise ReconError(f"{shown(path)} cannot be read: {error.strerror}") from error
    except MemoryError as error:
        raise ReconError(f"{name} does not fit into memory: scale it down first") from error
    except Exception as error:
        raise ReconError(
            f"{name} is damaged and cannot be decoded ({error}): copy it again from the camera or leave it out"
        ) from error


def _too_large(name: str, claimed: str) -> ReconError:
    return ReconError(
        f"{name} claims {claimed} pixels, more than the {MAX_PIXELS // 1_000_000} million this program accepts: "
        "scale it down or leave it out"
    )


def _not_a_picture(path: Path) -> str:
    with open(path, "rb") as file:
        start = file.read(16)
    found = f"it starts with {start!r}" if start else "it is empty"
    return f"{shown(path.name)} is not a picture, although its name says so ({found}): remove it or copy it again"


def _register_heif() -> None:
    import pillow_heif

    pillow_heif.register_heif_opener()


def _exif(image: Any) -> dict[int, Any]:
    """Return the EXIF tags of both directories; unreadable ones count as absent."""
    from PIL import Image

    try:
        # Asked itself, Pillow's reader for PNG decodes all pixels to see whether a block stands behind them.
        plain = image.format == "PNG" and not _has_chunk_behind_pixels(image.fp)
        exif = Image.Image.getexif(image) if plain else image.getexif()
        return {**exif, **exif.get_ifd(0x8769)}
    except Exception:  # a broken EXIF block does not make the picture unusable
        return {}


def _has_chunk_behind_pixels(file: Any) -> bool:
    """Tell whether a PNG file has anything but its end behind its pixels, and leave the file where it was."""
    position = file.tell()
    try:
        file.seek(8)
        pixels = False
        while len(head := file.read(8)) == 8:
            kind = head[4:]
            if kind == b"IEND":
                return False
            if pixels and kind != b"IDAT":
                return True
            pixels = pixels or kind == b"IDAT"
            file.seek(int.from_bytes(head[:4], "big") + 4, os.SEEK_CUR)
        return False  # cut off: decoding will tell
    finally:
        file.seek(position)


def _focal_pixels(exif: dict[int, Any], width: int, height: int) -> float | None:
    equivalent = _number(exif.get(_FOCAL_LENGTH_35MM))
    if equivalent:
        return _plausible(equivalent / DIAGONAL_35MM * math.hypot(width, height), width, height)
    millimetres = _number(exif.get(_FOCAL_LENGTH))
    resolution = _number(exif.get(_FOCAL_PLANE_X_RESOLUTION))
    unit = _UNIT_IN_MILLIMETRES.get(exif.get(_FOCAL_PLANE_UNIT, 2))
    if millimetres and resolution and unit:
        taken = max(_number(exif.get(_PIXEL_WIDTH)) or 0, _number(exif.get(_PIXEL_HEIGHT)) or 0)
        shrunk = max(width, height) / taken if taken else 1.0  # the tag counts pixels as they were taken
        return _plausible(millimetres * resolution / unit * shrunk, width, height)
    return None


def _plausible(focal: float, width: int, height: int) -> float | None:
    """Drop focal lengths that no lens has: fields of view beyond about 157 or below 3 degrees."""
    return focal if 0.2 < focal / max(width, height) < 20 else None


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return number if math.isfinite(number) and number > 0 else None


def _transposed(image: Any, orientation: int) -> Any:
    from PIL import Image

    method = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }.get(orientation)
    return image if method is None else image.transpose(method)


def _picture(image: Any, path: Path) -> Picture:
    if image.mode == "F":
        raise ReconError(
            f"{shown(path.name)} holds floating-point values of unknown range: "
            "convert it to an 8 or 16 bit sRGB picture"
        )
    if image.mode.startswith("I"):  # 16 bit gray, which Pillow cannot convert without clipping
        gray = np.clip(np.asarray(image).astype(np.float32) / 65535.0, 0.0, 1.0)
        return Picture(np.repeat(gray[:, :, None], 3, axis=2), None)
    transparent = image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info
    profile = image.info.get("icc_profile")
    if image.mode in ("P", "PA", "1", "L", "LA", "La", "RGBa", "RGBX", "YCbCr", "HSV"):
        image = image.convert("RGBA" if transparent else "RGB")
    elif transparent and image.mode == "RGB":
        image = image.convert("RGBA")
    alpha = None
    if image.mode == "RGBA":
        alpha = np.asarray(image.getchannel("A"), dtype=np.float32) / 255.0
        image = image.convert("RGB")
    image = _to_srgb(image, profile)
    return Picture(np.asarray(image, dtype=np.float32) / 255.0, alpha)


def _to_srgb(image: Any, profile: bytes | None) -> Any:
    """Convert to sRGB by the embedded colour profile (phones write Display P3); a broken profile is ignored."""
    from PIL import ImageCms

    if profile and image.mode in ("RGB", "CMYK", "LAB"):
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if "srgb" not in ImageCms.getProfileDescription(source).lower():
                target = ImageCms.createProfile("sRGB")
                return ImageCms.profileToProfile(image, source, target, outputMode="RGB")
        except (ImageCms.PyCMSError, OSError, ValueError):
            pass
    return image if image.mode == "RGB" else image.convert("RGB")
