"""gsplat's pure-torch path as a peer on the CPU: its own projection and its own compositing, timed alone.

gsplat finds the pairs of Gaussian and pixel by a CUDA kernel, and takes two scans from nerfacc that are CUDA kernels
too. Both are replaced here: the pairs are made once, outside the timing, and the scans by a few torch operations. So
what is timed is less than gsplat would have to do.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from typing import Any

import torch
from rasterizer_scene import BenchmarkScene
from torch import Tensor

ALPHA_MIN, STOP = 1 / 255, 1e-4


def gsplat_torch_render(scene: BenchmarkScene) -> tuple[Callable[[], Tensor], list[Tensor]] | None:
    """Return a function that renders the scene, and the leaves it differentiates; None without gsplat."""
    sys.modules.setdefault("nerfacc", _scans())
    try:
        from gsplat.cuda import _torch_impl as gsplat
    except (ImportError, OSError):
        return None
    leaves = {name: tensor.clone().requires_grad_() for name, tensor in scene.parameters.items()}
    fx, fy, cx, cy = scene.intrinsics.tolist()
    matrix = torch.tensor([[[fx, 0, cx], [0, fy, cy], [0, 0, 1]]])
    pose = scene.world_to_camera[None]

    def project() -> tuple[Any, ...]:
        covariances, _ = gsplat._quat_scale_to_covar_preci(
            leaves["quaternions"], leaves["scales"], True, False
        )
        return gsplat._fully_fused_projection(
            leaves["means"], covariances, pose, matrix, scene.width, scene.height
        )

    with torch.no_grad():
        _, means2d, depths, conics, _ = project()
        gaussians, pixels = visible_pairs(scene, means2d[0], depths[0], conics[0])
    images = torch.zeros_like(gaussians)

    def render() -> Tensor:
        _, means2d, _, conics, _ = project()
        color, _ = gsplat.accumulate(
            means2d,
            conics,
            leaves["opacities"][None],
            leaves["colors"][None],
            gaussians,
            pixels,
            images,
            scene.width,
            scene.height,
        )
        return color[0]

    return render, list(leaves.values())


def visible_pairs(
    scene: BenchmarkScene, means2d: Tensor, depths: Tensor, conics: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the Gaussian and the pixel of every pair that is drawn, by pixel, nearest first."""
    level = 2 * (scene.opacities / ALPHA_MIN).log().clamp(min=0)
    determinant = conics[:, 0] * conics[:, 2] - conics[:, 1] ** 2
    extent = (level[:, None] * conics[:, [2, 0]] / determinant[:, None]).sqrt()
    size = torch.tensor([scene.width, scene.height])
    first = (means2d - extent - 0.5).ceil().long().clamp(min=0)
    last = torch.minimum((means2d + extent - 0.5).floor().long(), size - 1)
    sides = (last - first + 1).clamp(min=0)
    order = depths.argsort()
    areas = sides.prod(1)[order]
    gaussian = order.repeat_interleave(areas)
    within = torch.arange(len(gaussian)) - (areas.cumsum(0) - areas).repeat_interleave(areas)
    x = first[gaussian, 0] + within % sides[gaussian, 0]
    y = first[gaussian, 1] + within // sides[gaussian, 0]
    dx, dy = x + 0.5 - means2d[gaussian, 0], y + 0.5 - means2d[gaussian, 1]
    a, b, c = conics[gaussian].T
    alpha = scene.opacities[gaussian] * (-0.5 * (a * dx**2 + c * dy**2) - b * dx * dy).exp()
    drawn = alpha >= ALPHA_MIN
    gaussian, pixel, alpha = gaussian[drawn], (y * scene.width + x)[drawn], alpha[drawn]
    by_pixel = pixel.argsort(stable=True)
    gaussian, pixel, alpha = gaussian[by_pixel], pixel[by_pixel], alpha[by_pixel]
    alive = _transmittances(alpha.clamp(max=0.999), pixel) >= STOP
    return gaussian[alive], pixel[alive]


def _transmittances(alphas: Tensor, rays: Tensor) -> Tensor:
    """Return the product of 1 - alpha over what lies before each sample on its ray; samples come ray by ray."""
    logarithm = torch.log1p(-alphas.double())
    before = logarithm.cumsum(0) - logarithm
    starts = torch.ones_like(rays, dtype=torch.bool)
    starts[1:] = rays[1:] != rays[:-1]
    ray = starts.cumsum(0) - 1
    return (before - before[starts][ray]).exp().to(alphas.dtype)


def _scans() -> types.ModuleType:
    """The two functions of nerfacc that gsplat calls, in torch."""

    def render_weight_from_alpha(alphas: Tensor, ray_indices: Tensor, n_rays: int) -> tuple[Tensor, Tensor]:
        transmittances = _transmittances(alphas, ray_indices)
        return transmittances * alphas, transmittances

    def accumulate_along_rays(
        weights: Tensor, values: Tensor | None, ray_indices: Tensor, n_rays: int
    ) -> Tensor:
        source = weights[:, None] if values is None else weights[:, None] * values
        return source.new_zeros(n_rays, source.shape[1]).index_add(0, ray_indices, source)

    module = types.ModuleType("nerfacc")
    module.render_weight_from_alpha = render_weight_from_alpha  # type: ignore[attr-defined]
    module.accumulate_along_rays = accumulate_along_rays  # type: ignore[attr-defined]
    return module
