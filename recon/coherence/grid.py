"""One cell per Gaussian: a photo's rays, colours, first depths and layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor

from recon.coherence.layers import depth_layers
from recon.scene import Camera, View
from recon.stereo.working_view import matchable


@dataclass(frozen=True, eq=False)
class PixelGrid:
    """The cells of one photo: its pixels, or blocks of them where photos are large.

    Attributes:
        camera: of the photo at the size of the grid.
        center: [3] the camera's position, world coordinates.
        rays: [h, w, 3] world direction of each cell's ray, scaled so that its z in the camera is 1.
        color: [h, w, 3] sRGB in [0, 1], the mean over the cell.
        depth: [h, w] first depth (z), scene units; 0 where there is no Gaussian.
        layers: [h, w] depth layer, 0 to count - 1 (0 as well where there is no Gaussian).
        used: [h, w] cells that hold a Gaussian.
    """

    camera: Camera
    center: Float[Tensor, " 3"]
    rays: Float[Tensor, "h w 3"]
    color: Float[Tensor, "h w 3"]
    depth: Float[Tensor, "h w"]
    layers: Int[Tensor, "h w"]
    used: Bool[Tensor, "h w"]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.camera.height, self.camera.width

    def points(self, depth: Float[Tensor, "h w"]) -> Float[Tensor, "h w 3"]:
        """Return the world points at these depths on the rays."""
        return self.center + self.rays * depth[..., None]

    def with_depth(self, depth: Float[Tensor, "h w"]) -> PixelGrid:
        """Return the grid with another first depth."""
        return PixelGrid(
            self.camera, self.center, self.rays, self.color, depth * self.used, self.layers, self.used
        )


def cell_size(views: Sequence[View], count: int) -> float:
    """Return the side in pixels of the smallest cells, at least a pixel, of which all photos have about `count`."""
    pixels = sum(view.camera.width * view.camera.height for view in views)
    return max(1.0, float(np.sqrt(pixels / max(1, count))))


def pixel_grids(
    views: Sequence[View],
    depths: Sequence[Float[ndarray, "H W"]],
    cell: float,
    layers: int,
    device: torch.device | str = "cpu",
) -> list[PixelGrid]:
    """Lay a grid of cells over each photo.

    A cell has the mean colour of its pixels, but the depth of its middle: a mean of depths over an edge is the depth of
    nothing.
    """
    return [
        _grid(view, depth, cell, layers, torch.device(device))
        for view, depth in zip(views, depths, strict=True)
    ]


def _grid(
    view: View, depth: Float[ndarray, "H W"], cell: float, layers: int, device: torch.device
) -> PixelGrid:
    import cv2

    height, width = (max(2, round(side / cell)) for side in depth.shape)
    camera = view.camera.resized(width, height)
    rows = ((np.arange(height) + 0.5) * depth.shape[0] / height).astype(int)
    columns = ((np.arange(width) + 0.5) * depth.shape[1] / width).astype(int)
    middle = np.ix_(rows, columns)
    labels = depth_layers(depth, layers)[middle]
    used = matchable(view)[middle] & (depth[middle] > 0)
    unit = camera.unproject(camera.pixel_centers().reshape(-1, 2), np.ones(height * width)) - camera.center
    color = cv2.resize(view.image, (width, height), interpolation=cv2.INTER_AREA)

    def tensor(values: ndarray, dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.as_tensor(np.ascontiguousarray(values), dtype=dtype, device=device)

    return PixelGrid(
        camera,
        tensor(camera.center),
        tensor(unit.reshape(height, width, 3)),
        tensor(color),
        tensor(np.where(used, depth[middle], 0)),
        tensor(np.maximum(labels, 0), torch.int64),
        tensor(used, torch.bool),
    )
