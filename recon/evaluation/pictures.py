"""The pictures of a run folder: where each lies, what its colours stand for, and differences as colours.

A coloured picture carries its own scale as PNG text (`recon:low`, `recon:high`, `recon:ramp`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray

from recon.errors import ReconError

if TYPE_CHECKING:
    from PIL.Image import Image

PictureKind = Literal["renders/train", "renders/test", "truth/train", "truth/test", "depth", "confidence"]

DEPTH_RAMP = "turbo"
CONFIDENCE_RAMP = "viridis"
DIFFERENCE_RAMP = "inferno"

DIFFERENCE_GAIN = 4.0
"""The brightest colour of a difference picture is an error of 1 / gain; fixed, so that runs can be compared."""

MAX_PIXELS = 1 << 27
"""A larger picture is refused before it is decoded; 8192 x 8192 fits twice."""


@dataclass(frozen=True)
class ColorScale:
    """What the ends of a coloured picture's ramp stand for, in the picture's own unit."""

    low: float
    high: float
    ramp: str


def picture_path(run: Path, kind: PictureKind, name: str, suffix: str = "") -> Path:
    """Return where the picture of a view lies in a run folder.

    Args:
        name: the view's name; it may hold any character, and the path stays inside of the folder.
        suffix: what distinguishes several pictures of one view, such as "_confidence".
    """
    return Path(run) / kind / f"{_file_stem(name)}{suffix}.png"


def colorize(values: Float[ndarray, "H W"], scale: ColorScale) -> UInt8[ndarray, "H W 3"]:
    """Return the colour of every value; values beyond the scale's ends take the end's colour."""
    span = max(scale.high - scale.low, 1e-12)
    position = np.clip((np.nan_to_num(np.asarray(values, np.float64)) - scale.low) / span, 0.0, 1.0)
    return color_table(scale.ramp)[np.rint(position * 255).astype(np.intp)]


def color_table(ramp: str) -> UInt8[ndarray, "256 3"]:
    """Return the 256 colours of a named ramp."""
    from matplotlib import colormaps

    return np.rint(colormaps[ramp](np.linspace(0, 1, 256))[:, :3] * 255).astype(np.uint8)


def difference_picture(
    render: UInt8[ndarray, "H W 3"], truth: UInt8[ndarray, "H W 3"], gain: float = DIFFERENCE_GAIN
) -> UInt8[ndarray, "H W 3"]:
    """Return the absolute difference, averaged over the channels and times `gain`, as colours."""
    error = np.abs(render.astype(np.float32) - truth.astype(np.float32)).mean(axis=-1) / 255.0
    return colorize(error, ColorScale(0.0, 1.0 / gain, DIFFERENCE_RAMP))


def read_picture(path: Path) -> Image:
    """Decode a picture as RGB.

    Raises:
        ReconError: when it is not a readable picture or is larger than `MAX_PIXELS`.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ReconError(f"{path} has {image.width}x{image.height} pixels, too many to show")
            return image.convert("RGB")
    except (OSError, UnidentifiedImageError, ValueError, Image.DecompressionBombError) as error:
        raise ReconError(f"{path} is not a readable picture: {error}") from error


def read_color_scale(path: Path) -> ColorScale | None:
    """Return the scale that a coloured picture carries, or None when it carries none."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            text = getattr(image, "text", {})
            scale = ColorScale(float(text["recon:low"]), float(text["recon:high"]), text["recon:ramp"])
    except (OSError, KeyError, ValueError, Image.DecompressionBombError):
        return None
    usable = np.isfinite([scale.low, scale.high]).all()
    return scale if usable and scale.ramp in (DEPTH_RAMP, CONFIDENCE_RAMP, DIFFERENCE_RAMP) else None


def _file_stem(name: str) -> str:
    """Return a file name for a view's name, without the ending .png; different names give different stems.

    Separators, characters that some file system refuses, and a leading dot become %XX. The photo's own ending
    stays (a.jpg becomes a.jpg.png), because a.jpg and a.png may be two photos of one scene.
    """
    stem = re.sub(r'[%<>:"/\\|?*\x00-\x1f\x7f]|^\.', lambda match: f"%{ord(match[0]):02X}", name)
    return stem or "%"
