"""Pictures of renders, depth, confidence and normals as PNG files, from tensors or arrays.

Colours and their scales are those of `recon.evaluation.pictures`, which the report reads again.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray
from torch import Tensor

from recon.errors import ReconError
from recon.evaluation.pictures import CONFIDENCE_RAMP, DEPTH_RAMP, ColorScale, colorize
from recon.files import atomic_write

DEPTH_PERCENTILES = (1.0, 99.0)
"""A depth preview's colours span these percentiles of the known depth, so that few outliers do not flatten the rest."""

DEPTH_SUFFIX = "_16bit"
"""What the name of the exact depth picture has more than the name of its preview."""


def write_image(
    path: str | os.PathLike[str], image: Float[Tensor, "H W C"] | Float[ndarray, "H W C"]
) -> None:
    """Write an sRGB picture with values in [0, 1]; four channels make it transparent, values beyond are clipped.

    Raises:
        ReconError: when the file cannot be written.
    """
    _save(path, _to_bytes(_array(image, "image", channels=(3, 4))))


def write_depth(path: str | os.PathLike[str], depth: Float[Tensor, "H W"] | Float[ndarray, "H W"]) -> None:
    """Write depth twice: as colours under `path`, and exactly as 16-bit grey beside it (`a.png` and `a_16bit.png`).

    The preview's turbo colours go from blue (near) to red (far), unknown depth (0) is black, and its PNG text states
    the depths at the ends of the scale. The 16-bit picture's PNG text `recon:unit` states the depth of one step; 0 is
    unknown. `read_depth` reads it.

    Raises:
        ReconError: when a file cannot be written.
    """
    z = _array(depth, "depth")
    known = np.isfinite(z) & (z > 0)
    colors, scale = depth_colors(z)
    _save(path, colors, _scale_text(scale))
    unit = float(z[known].max()) / 65535 if known.any() else 1.0
    steps = np.zeros(z.shape, np.uint16)
    steps[known] = np.maximum(np.rint(z[known] / unit), 1)  # what is known must not become unknown
    _save(exact_depth_path(path), steps, {"recon:unit": unit})


def depth_colors(
    depth: Float[Tensor, "H W"] | Float[ndarray, "H W"],
) -> tuple[UInt8[ndarray, "H W 3"], ColorScale]:
    """Return the preview of `write_depth` and what its colours stand for."""
    z = _array(depth, "depth")
    known = np.isfinite(z) & (z > 0)
    low, high = np.percentile(z[known], DEPTH_PERCENTILES) if known.any() else (0.0, 1.0)
    scale = ColorScale(float(low), float(high), DEPTH_RAMP)
    colors = colorize(z, scale)
    colors[~known] = 0
    return colors, scale


def read_depth(path: str | os.PathLike[str]) -> Float[ndarray, "H W"]:
    """Read back a depth picture; give it the preview's path or that of the 16-bit picture.

    Returns:
        float32 z in scene units, exact to the largest depth / 131070; 0 where unknown.

    Raises:
        ReconError: when it is not a 16-bit picture that states its unit.
    """
    from PIL import Image

    path = Path(path) if Path(path).stem.endswith(DEPTH_SUFFIX) else exact_depth_path(path)
    try:
        with Image.open(path) as picture:
            unit = float(getattr(picture, "text", {}).get("recon:unit", "nan"))
            mode, steps = picture.mode, np.asarray(picture)
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise ReconError(f"{path} is not a readable picture: {error}") from None
    if not mode.startswith("I") or not (np.isfinite(unit) and unit > 0):
        raise ReconError(f"{path} is not a depth picture: 16-bit grey with its unit stated is needed")
    return (steps.astype(np.float64) * unit).astype(np.float32)


def exact_depth_path(path: str | os.PathLike[str]) -> Path:
    """Return where `write_depth` puts the 16-bit picture."""
    path = Path(path)
    return path.with_name(f"{path.stem}{DEPTH_SUFFIX}{path.suffix}")


def write_confidence(
    path: str | os.PathLike[str], confidence: Float[Tensor, "H W"] | Float[ndarray, "H W"]
) -> None:
    """Write a confidence in [0, 1] as viridis colours, dark for none.

    Raises:
        ReconError: when the file cannot be written.
    """
    scale = ColorScale(0.0, 1.0, CONFIDENCE_RAMP)
    _save(path, colorize(_array(confidence, "confidence"), scale), _scale_text(scale))


def write_normals(
    path: str | os.PathLike[str], normals: Float[Tensor, "H W 3"] | Float[ndarray, "H W 3"]
) -> None:
    """Write unit normals in camera axes in the usual colours: red to the right, green up, blue towards the viewer.

    Missing normals (0 0 0) are black.

    Raises:
        ReconError: when the file cannot be written.
    """
    _save(path, normal_colors(normals))


def normal_colors(normals: Float[Tensor, "H W 3"] | Float[ndarray, "H W 3"]) -> UInt8[ndarray, "H W 3"]:
    """Return the colours of `write_normals`."""
    n = np.nan_to_num(_array(normals, "normals", channels=(3,)))
    colors = _to_bytes(0.5 + 0.5 * n * [1, -1, -1])
    colors[np.linalg.norm(n, axis=-1) < 1e-6] = 0
    return colors


def _array(values: Tensor | ndarray, name: str, channels: tuple[int, ...] = ()) -> ndarray:
    array = values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
    fits = array.ndim == 3 and array.shape[2] in channels if channels else array.ndim == 2
    if not fits or array.size == 0:
        expected = f"(H, W, {' or '.join(map(str, channels))})" if channels else "(H, W)"
        raise ValueError(f"{name}: expected shape {expected}, got {array.shape}")
    return array


def _to_bytes(values: ndarray) -> ndarray:
    return np.rint(np.clip(np.nan_to_num(values), 0, 1) * 255).astype(np.uint8)


def _scale_text(scale: ColorScale) -> dict[str, object]:
    """Return what `read_color_scale` reads back from the picture."""
    return {"recon:low": scale.low, "recon:high": scale.high, "recon:ramp": scale.ramp}


def _save(path: str | os.PathLike[str], pixels: ndarray, text: dict[str, object] | None = None) -> None:
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    for name, value in (text or {}).items():
        info.add_text(name, str(value))
    with atomic_write(path) as file:
        Image.fromarray(np.ascontiguousarray(pixels)).save(file, format="PNG", pnginfo=info)
