"""What the rasterizer returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from jaxtyping import Float
from torch import Tensor


@dataclass(eq=False)
class Rasterization:
    """One rendered view. Outputs that were not asked for are None.

    Attributes:
        color: [H, W, 3] blended colour, background included.
        alpha: [H, W] opacity of the pixel, 1 - final transmittance.
        depth: [H, W] expected camera z of the Gaussians' centres, sum(w z) / alpha, scene units; 0 where alpha is 0.
        median_depth: [H, W] camera z of the centre of the Gaussian that takes the transmittance from above 0.5 to
            at most 0.5; 0 where none does. Its gradient goes straight to that Gaussian's depth.
        normal: [H, W, 3] blended normals, camera axes, unit length, facing the camera; 0 where alpha is 0. A
            Gaussian's normal is its shortest axis.
        features: [H, W, C] blended feature channels, sum(w f), no background.
        radii: [N] radius of the Gaussian on the image, three standard deviations of its longer axis, pixels;
            0 where it is not visible.
    """

    color: Float[Tensor, "H W 3"]
    alpha: Float[Tensor, "H W"]
    depth: Float[Tensor, "H W"] | None
    median_depth: Float[Tensor, "H W"] | None
    normal: Float[Tensor, "H W 3"] | None
    features: Float[Tensor, "H W C"] | None
    radii: Float[Tensor, " N"]
    _contribution: Float[Tensor, " N"] | Callable[[], Tensor] = field(repr=False)

    @property
    def contribution(self) -> Float[Tensor, " N"]:
        """Blending weight of each Gaussian summed over the pixels, no gradient.

        Computed when first read, by one more forward pass, unless "contribution" is among the asked outputs.
        """
        if callable(self._contribution):
            self._contribution = self._contribution()
        return self._contribution
