"""Turn a picture file and the camera that its data set states into a `View`."""

from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from recon.datasets.decode import Picture, PictureHeader, decode, read_header, shown
from recon.datasets.resize import PictureSize, area_average
from recon.datasets.undistort import NO_DISTORTION, Distortion, undistort
from recon.errors import ReconError
from recon.scene import Camera, Pixels, View

WHITE = (1.0, 1.0, 1.0)

_SAME_SURFACE = 0.01  # relative spread of depth up to which a shrunk pixel's area is one surface


@dataclass(frozen=True)
class StoredDepth:
    """A 16-bit picture of true z-depth.

    Attributes:
        path: the picture; 0 is unknown.
        step: scene units per step.
    """

    path: Path
    step: float


def posed_view(
    name: str,
    path: Path,
    camera: Camera,
    size: PictureSize,
    *,
    distortion: Distortion = NO_DISTORTION,
    mask: Path | None = None,
    depth: StoredDepth | None = None,
    background: tuple[float, float, float] = WHITE,
) -> View:
    """Return a view whose file is opened here for its header only, and decoded when its pixels are asked for.

    Args:
        camera: as the data set states it, for any size of the same picture: it is scaled to the file's actual size
            and then to the size asked for.
        distortion: of the lens, removed at loading.
        mask: picture file, bright on the object; without one, a transparent picture's alpha is the mask.
        depth: the true depth; only for pictures without distortion.
        background: sRGB colour put behind transparent pixels.

    Raises:
        ReconError: when the file is no readable picture, or its shape is not the one the camera is for.
    """
    check_name(name)
    header = read_header(path)
    upright = _camera_is_upright(header, camera)
    width, height = header.upright_size if upright else (header.width, header.height)
    check_shape(shown(path.name), width, height, camera)
    stored = camera.resized(width, height)
    target = size.of(width, height)

    def load() -> Pixels:
        return load_pixels(
            path,
            target,
            upright=upright,
            stored=stored,
            distortion=distortion,
            mask=mask,
            depth=depth,
            background=background,
        )

    return View(name, stored.resized(*target), load)


def withheld_view(name: str, camera: Camera, size: PictureSize) -> View:
    """Return a view that has a camera but no picture, such as a benchmark's hidden test view."""
    check_name(name)

    def load() -> Pixels:
        raise ReconError(
            f"the picture of {name} is not among the files: this view can be rendered, but not compared"
        )

    return View(name, camera.resized(*size.of(camera.width, camera.height)), load, withheld=True)


def load_pixels(
    path: Path,
    size: tuple[int, int],
    *,
    upright: bool,
    stored: Camera | None = None,
    distortion: Distortion = NO_DISTORTION,
    mask: Path | None = None,
    depth: StoredDepth | None = None,
    background: tuple[float, float, float] = WHITE,
) -> Pixels:
    """Decode a picture, put a background behind it, remove distortion, and shrink it, in this order.

    Args:
        size: (width, height) of the result.
        stored: camera for the picture as stored; needed to undistort.
    """
    picture = decode(path, upright=upright)
    height, width = picture.color.shape[:2]
    outline = None if mask is None else _mask_coverage(mask, width, height, upright)
    pixels = finish_pixels(
        picture, size, stored=stored, distortion=distortion, outline=outline, background=background
    )
    if depth is None:
        return pixels
    return replace(pixels, depth=_depth(depth, (width, height), size, upright))


def finish_pixels(
    picture: Picture,
    size: tuple[int, int],
    *,
    stored: Camera | None = None,
    distortion: Distortion = NO_DISTORTION,
    outline: Float[ndarray, "H W"] | None = None,
    background: tuple[float, float, float] = WHITE,
) -> Pixels:
    """Put a background behind a decoded picture, remove distortion, and shrink it, in this order.

    Args:
        size: (width, height) of the result.
        stored: camera for the picture as it is; needed to undistort.
        outline: coverage of the object, instead of the picture's alpha.
    """
    color, coverage = picture.color, picture.alpha
    if coverage is not None:
        color = color * coverage[:, :, None] + np.asarray(background, np.float32) * (1 - coverage[:, :, None])
    if outline is not None:
        coverage = outline
    valid = None
    if stored is not None and not distortion.is_none:
        color, valid = undistort(color, stored, distortion)
        if coverage is not None:
            coverage, _ = undistort(coverage, stored, distortion)
    return Pixels(
        image=np.ascontiguousarray(area_average(color, *size), dtype=np.float32),
        mask=None if coverage is None else area_average(coverage, *size) >= 0.5,
        valid=None if valid is None else _fully_covered(valid, size),
        background=None if picture.alpha is None else background,
    )


def check_shape(name: str, width: int, height: int, camera: Camera) -> None:
    """Refuse a picture of another shape than its camera is for.

    Raises:
        ReconError: when the aspect ratios differ by more than 1 %.
    """
    if abs(width * camera.height - height * camera.width) > 0.01 * width * camera.height:
        raise ReconError(
            f"{name} is {width}x{height}, but its camera is for a picture of "
            f"{camera.width}x{camera.height}, which has another shape: use the pictures that the cameras belong to"
        )


def check_name(name: str) -> None:
    """Refuse names that would leave the folder when renders are written under them."""
    parts = PurePosixPath(name).parts
    if not parts or ".." in parts or parts[0] == "/" or not name.isprintable() or "\\" in name:
        raise ReconError(
            f"a picture is called {name!r}: its name must be a plain path inside the data set's folder"
        )


def _camera_is_upright(header: PictureHeader, camera: Camera) -> bool:
    """Tell whether the camera is for the picture turned upright by EXIF; most tools use it as stored."""
    if not header.turned:
        return False
    return (camera.width > camera.height) != (header.width > header.height)


def _mask_coverage(path: Path, width: int, height: int, upright: bool) -> Float[ndarray, "H W"]:
    picture = decode(path, upright=upright)
    coverage = picture.color.mean(axis=2)
    if coverage.shape != (height, width):
        raise ReconError(
            f"mask {shown(path.name)} is {coverage.shape[1]}x{coverage.shape[0]}, but its picture is {width}x{height}"
        )
    return coverage.astype(np.float32)


def _depth(
    stored: StoredDepth, expected: tuple[int, int], size: tuple[int, int], upright: bool
) -> Float[ndarray, "h w"]:
    """Decode true depth and shrink it; pixels that cover an edge or an unknown place become unknown."""
    steps = np.round(decode(stored.path, upright=upright).color[:, :, 0] * 65535.0)
    if (steps.shape[1], steps.shape[0]) != expected:
        raise ReconError(
            f"depth {shown(stored.path.name)} is {steps.shape[1]}x{steps.shape[0]}, "
            f"but its picture is {expected[0]}x{expected[1]}"
        )
    depth = (steps * stored.step).astype(np.float32)
    if size == expected:
        return depth
    mean = area_average(depth, *size)
    spread = np.sqrt(np.maximum(area_average(depth * depth, *size) - mean * mean, 0.0))
    return np.where(_fully_covered(depth > 0, size) & (spread < _SAME_SURFACE * mean), mean, 0.0).astype(
        np.float32
    )


def _fully_covered(valid: Bool[ndarray, "H W"], size: tuple[int, int]) -> Bool[ndarray, "h w"]:
    return area_average(valid.astype(np.float32), *size) > 1 - 1e-4
