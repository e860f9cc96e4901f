"""The Gaussian rasterizer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from recon.errors import ReconError
from recon.ops.rasterization import Rasterization
from recon.ops.rasterize_autograd import Settings, render, render_contribution

if TYPE_CHECKING:
    from recon.ops.rasterize_autograd import Inputs

OUTPUTS = ("color", "depth", "median_depth", "normal", "features", "contribution")
"""What `rasterize` can be asked for; color, alpha and radii always come."""


def rasterize(
    means: Float[Tensor, "N 3"],
    quaternions: Float[Tensor, "N 4"],
    scales: Float[Tensor, "N 3"],
    opacities: Float[Tensor, " N"],
    sh: Float[Tensor, "N K 3"] | None,
    world_to_camera: Float[Tensor, "4 4"],
    intrinsics: Float[Tensor, " 4"],
    width: int,
    height: int,
    *,
    sh_degree: int | None = None,
    colors: Float[Tensor, "N 3"] | None = None,
    background: Float[Tensor, " 3"] | None = None,
    features: Float[Tensor, "N C"] | None = None,
    outputs: Sequence[str] = ("color",),
    antialiased: bool = False,
    screen_offsets: Float[Tensor, "N 2"] | None = None,
    absolute_gradients: bool = False,
    near: float = 0.01,
) -> Rasterization:
    """Render Gaussians into one pinhole camera by sorted alpha blending.

    Gaussians are blended front to back by camera z of their centres, ties by index. One with alpha below 1/255 at a
    pixel is skipped there, alpha is clamped to 0.99 (zero gradient beyond), and a pixel takes Gaussians while its
    transmittance is at least 1e-4. Gaussians whose parameters are not finite, or that lie behind `near`, are not drawn
    and get zero gradients. All tensors are float32 on one device; every tensor argument is differentiable, once.

    Args:
        means: [N, 3] centres, world units.
        quaternions: [N, 4] rotations (w, x, y, z) of any positive length.
        scales: [N, 3] standard deviations along the local axes, world units, positive.
        opacities: [N] in [0, 1].
        sh: [N, K, 3] spherical-harmonic coefficients, K = 1, 4, 9 or 16; the colour is max(0, 0.5 + SH(direction from
            the camera's centre)). None where `colors` is given.
        world_to_camera: [4, 4] pose, OpenCV axes.
        intrinsics: [4] fx, fy, cx, cy in pixels.
        width: picture width in pixels.
        height: picture height in pixels.
        sh_degree: use only the coefficients up to this degree (default: all).
        colors: [N, 3] colours that do not depend on the view, instead of sh.
        background: [3] colour behind everything (default: black).
        features: [N, C] further channels to blend.
        outputs: which pictures to compute, of "color", "depth", "median_depth", "normal", "features", "contribution".
            Colour, alpha and radii always come; features also come when `features` is given.
        antialiased: multiply opacities by sqrt(det / det_dilated) of the screen covariance, so that what the dilation
            of 0.3 pixels squared adds to thin Gaussians in area it takes in opacity.
        screen_offsets: [N, 2] pixels added to the projected centres. Pass zeros to get the view-space gradient.
        absolute_gradients: the gradient of screen_offsets becomes the sum over pixels of absolute values (AbsGS); the
            other gradients are not affected.
        near: Gaussians whose centre has camera z at or below this are not drawn.

    Returns:
        The pictures, see `Rasterization`.

    Raises:
        ReconError: when a shape, type or device is wrong; the message gives what was expected and found.

    Source: 3DGS (Kerbl et al. 2023), sections 4 to 6; EWA splatting (Zwicker et al. 2001); opacity compensation after
    Mip-Splatting (Yu et al. 2024), section 5.2; absolute gradients after AbsGS (Ye et al. 2024), equation 6.
    """
    _check_settings(sh, colors, features, outputs, width, height)
    count = len(means) if means.ndim else -1
    inputs: Inputs = (
        _checked("means", means, (count, 3), means),
        _checked("quaternions", quaternions, (count, 4), means),
        _checked("scales", scales, (count, 3), means),
        _checked("opacities", opacities, (count,), means),
        None if colors is not None or sh is None else _checked_sh(sh, count, means),
        None if colors is None else _checked("colors", colors, (count, 3), means),
        None if features is None else _checked("features", features, (count, None), means),
        None if background is None else _checked("background", background, (3,), means),
        _checked("world_to_camera", world_to_camera, (4, 4), means),
        _checked("intrinsics", intrinsics, (4,), means),
        None if screen_offsets is None else _checked("screen_offsets", screen_offsets, (count, 2), means),
    )
    settings = Settings(
        width=int(width),
        height=int(height),
        sh_degree=_used_degree(inputs[4], sh_degree),
        depth="depth" in outputs,
        median_depth="median_depth" in outputs,
        normal="normal" in outputs,
        contribution="contribution" in outputs,
        antialiased=bool(antialiased),
        absolute_gradients=bool(absolute_gradients),
        near=float(near),
    )
    color, alpha, depth, median_depth, normal, blended_features, radii, contribution = render(
        inputs, settings
    )
    return Rasterization(
        color=color,
        alpha=alpha,
        depth=depth if settings.depth else None,
        median_depth=median_depth if settings.median_depth else None,
        normal=normal if settings.normal else None,
        features=blended_features if features is not None else None,
        radii=radii,
        _contribution=contribution
        if settings.contribution
        else lambda: render_contribution(inputs, settings),
    )


def _check_settings(
    sh: Tensor | None,
    colors: Tensor | None,
    features: Tensor | None,
    outputs: Sequence[str],
    width: int,
    height: int,
) -> None:
    if width < 1 or height < 1:
        raise ReconError(
            f"rasterize: the picture must have at least one pixel, got width={width}, height={height}"
        )
    for name in outputs:
        if name not in OUTPUTS:
            raise ReconError(f"rasterize: unknown output {name!r}; choose from {', '.join(OUTPUTS)}")
    if "features" in outputs and features is None:
        raise ReconError('rasterize: outputs contain "features", but no features=[N, C] were given')
    if sh is None and colors is None:
        raise ReconError("rasterize: give either sh=[N, K, 3] or colors=[N, 3]")


def _checked(name: str, tensor: Tensor, shape: tuple[int | None, ...], like: Tensor) -> Tensor:
    got = tuple(tensor.shape)
    if len(got) != len(shape) or any(
        want is not None and want != have for want, have in zip(shape, got, strict=True)
    ):
        wanted = ", ".join("N" if want == -1 else "C" if want is None else str(want) for want in shape)
        raise ReconError(f"rasterize: {name} must have shape [{wanted}], got {list(got)}")
    if tensor.dtype != torch.float32:
        raise ReconError(
            f"rasterize: {name} must be float32, got {tensor.dtype}; convert it with .float(), or use "
            "recon.ops.reference.rasterize for other types"
        )
    if tensor.device != like.device:
        raise ReconError(
            f"rasterize: {name} is on {tensor.device}, but means are on {like.device}; use one device"
        )
    return tensor


def _checked_sh(sh: Tensor, count: int, like: Tensor) -> Tensor:
    if sh.ndim != 3 or sh.shape[0] != count or sh.shape[1] not in (1, 4, 9, 16) or sh.shape[2] != 3:
        raise ReconError(f"rasterize: sh must have shape [{count}, 1|4|9|16, 3], got {list(sh.shape)}")
    return _checked("sh", sh, tuple(sh.shape), like)


def _used_degree(sh: Tensor | None, wanted: int | None) -> int:
    if sh is None:
        return 0
    stored = {1: 0, 4: 1, 9: 2, 16: 3}[sh.shape[1]]
    if wanted is None:
        return stored
    if not 0 <= wanted <= stored:
        raise ReconError(
            f"rasterize: sh_degree must be between 0 and {stored} for sh of shape {list(sh.shape)}, got {wanted}"
        )
    return int(wanted)
