"""Pictures that the server draws: our own rasterizer's answer for the browser's camera."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy import ndarray

from recon import ops
from recon.errors import ReconError
from recon.scene import Camera, View
from recon.splats import Gaussians
from recon.splats.photo_agreement import Witness, expected_error, view_confidence, witnesses
from recon.splats.render import camera_tensors

MAX_SIDE = 4096
MAX_PIXELS = 8_000_000
Mode = Literal["color", "depth", "normal", "alpha", "confidence"]
MODES = get_args(Mode)

EXTRA_OUTPUT = {"depth": ("depth",), "normal": ("normal",), "confidence": ("depth",)}
"""What the rasterizer has to draw beside colour and opacity."""

_FARTHEST = 1e9
"""Numbers beyond it are no camera's; NaN is not below it either."""

_SLOPES = (1e-3, 1e3)
"""Half the picture over the focal length: fields of view from a tenth of a degree to nearly 180 degrees."""


@dataclass(frozen=True, eq=False)
class PictureRequest:
    """A checked POST api/picture."""

    camera: Camera
    mode: Mode
    sh_degree: int | None
    transparent: bool


@dataclass(frozen=True)
class DrawnPicture:
    """A PNG, and what it says in its headers."""

    png: bytes
    headers: dict[str, str]


def parse_picture_request(body: bytes) -> PictureRequest:
    """Read the JSON of a request.

    Raises:
        ReconError: when it is not such JSON, or asks for a picture that is not drawn.
    """
    try:
        content = json.loads(body.decode("utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise ReconError("the request is not JSON") from None
    if not isinstance(content, dict):
        raise ReconError("the request should be an object with world_to_camera, intrinsics, width and height")
    width, height = (_size(content, name) for name in ("width", "height"))
    if width * height > MAX_PIXELS:
        raise ReconError(
            f"{width}x{height} is too large; at most {MAX_PIXELS / 1e6:g} million pixels are drawn"
        )
    pose = _numbers(content, "world_to_camera", 16)
    fx, fy, cx, cy = _numbers(content, "intrinsics", 4)
    for focal, side in ((fx, width), (fy, height)):
        if focal <= 0 or not _SLOPES[0] <= side / (2 * focal) <= _SLOPES[1]:
            raise ReconError(f"a focal length of {focal:g} pixels makes no picture of {width}x{height}")
    mode = content.get("mode", "color")
    if mode not in MODES:
        raise ReconError(f"mode must be one of {', '.join(MODES)}")
    degree = content.get("sh_degree")
    if degree is not None and (type(degree) is not int or not 0 <= degree <= 3):
        raise ReconError("sh_degree must be null or a whole number from 0 to 3")
    transparent = content.get("transparent", False)
    if not isinstance(transparent, bool):
        raise ReconError("transparent must be true or false")
    camera = Camera(np.array(pose).reshape(4, 4), fx, fy, cx, cy, width, height)
    return PictureRequest(camera, mode, degree, transparent)


class SplatPictures:
    """Draws Gaussians, and says of a view how far each pixel may be trusted."""

    def __init__(
        self,
        gaussians: Gaussians,
        background: tuple[float, float, float] | None = None,
        photos: Callable[[], Sequence[View]] = tuple,
        near: float = 0.01,
    ) -> None:
        """Take what is drawn.

        Args:
            background: what is known to lie behind the Gaussians.
            photos: returns the input photos that a view is compared with; called when confidence is first asked for.
            near: depth (z) up to which nothing is drawn.
        """
        self._gaussians = gaussians
        self._background = None if background is None else torch.tensor(background)
        self._photos = photos
        self._near = near
        self._witnesses: list[Witness] | None = None

    @torch.no_grad()
    def draw(self, request: PictureRequest) -> DrawnPicture:
        """Render and encode one picture; takes as long as it takes, so call it on a thread of its own."""
        from recon.evaluation.pictures import CONFIDENCE_RAMP, ColorScale, colorize
        from recon.export.pictures import depth_colors, normal_colors

        g, camera, mode = self._gaussians, replace(request.camera, near=self._near), request.mode
        pose, intrinsics = camera_tensors(camera)
        degree = None if request.sh_degree is None else min(request.sh_degree, g.sh_degree)
        picture = ops.rasterize(
            g.means,
            g.quaternions,
            g.scales,
            g.opacities,
            g.sh,
            pose,
            intrinsics,
            camera.width,
            camera.height,
            sh_degree=degree,
            background=None if request.transparent else self._background,
            outputs=("color", *EXTRA_OUTPUT.get(mode, ())),
            near=camera.near,
        )
        headers: dict[str, str] = {}
        if mode == "depth":
            assert picture.depth is not None
            pixels, scale = depth_colors(picture.depth)
            headers = {"X-Depth-Near": f"{scale.low:.9g}", "X-Depth-Far": f"{scale.high:.9g}"}
        elif mode == "normal":
            assert picture.normal is not None
            pixels = normal_colors(picture.normal)
        elif mode == "confidence":
            known = self._background is not None
            error = expected_error(g, picture, camera, self._inputs(), known_background=known)
            pixels = colorize(view_confidence(error).numpy(), ColorScale(0.0, 1.0, CONFIDENCE_RAMP))
        elif mode == "alpha":
            pixels = _to_bytes(picture.alpha.numpy())
        else:
            pixels = _to_bytes(picture.color.numpy())
        if request.transparent and mode != "alpha":
            alpha = picture.alpha.numpy()
            if mode == "color":  # blended over black; PNG keeps colour and alpha apart
                pixels = _to_bytes(picture.color.numpy() / np.maximum(alpha, 1e-6)[..., None])
            pixels = np.dstack([pixels, _to_bytes(alpha)])
        return DrawnPicture(_png(pixels), headers)

    def _inputs(self) -> list[Witness]:
        """Return the input photos, decoded once."""
        if self._witnesses is None:
            views = self._photos()
            if not views:
                raise ReconError(
                    "there are no input photos to compare a view with, so its confidence is unknown"
                )
            self._witnesses = witnesses(views)
        return self._witnesses


def _png(pixels: ndarray) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(stream, format="PNG", compress_level=1)
    return stream.getvalue()


def _to_bytes(values: ndarray) -> ndarray:
    return np.rint(np.clip(np.nan_to_num(values), 0, 1) * 255).astype(np.uint8)


def _size(content: dict[str, Any], name: str) -> int:
    value = content.get(name)
    if type(value) is not int or not 1 <= value <= MAX_SIDE:
        raise ReconError(f"{name} must be a whole number from 1 to {MAX_SIDE}")
    return value


def _numbers(content: dict[str, Any], name: str, count: int) -> list[float]:
    values = content.get(name)
    if (
        not isinstance(values, list)
        or len(values) != count
        or not all(type(v) in (int, float) and abs(v) < _FARTHEST for v in values)
    ):
        raise ReconError(f"{name} must be {count} numbers")
    return [float(value) for value in values]


def _refuse(name: str) -> None:
    raise ValueError(name)
