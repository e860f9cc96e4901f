"""The colour term: L1 and structural dissimilarity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from recon import ops
from recon.train.views import TrainingView


@dataclass(frozen=True)
class PhotometricTerm:
    """(1 - w) L1 + w (1 - SSIM) over the pixels that have a picture (3DGS, Kerbl et al. 2023, eq. 7).

    Virtual views weigh structure more than colour values, because warping displaces them by fractions of a pixel
    (MVPGS, Xu et al. 2024, section 3.4).

    Attributes:
        ssim_weight: w for photos.
        virtual_ssim_weight: w for virtual views.
        virtual_weight: factor on the whole term for virtual views.
    """

    ssim_weight: float = 0.2
    virtual_ssim_weight: float = 0.8
    virtual_weight: float = 1.0

    outputs: ClassVar[tuple[str, ...]] = ("color",)

    def __call__(self, rendering: ops.Rasterization, view: TrainingView, progress: float) -> Tensor:
        target = view.image
        if view.weight is not None:
            # Windows of SSIM reach across the border of what has a picture: there it is compared with itself.
            target = torch.where(view.weight[..., None] > 0, target, rendering.color.detach())
        l1, ssim = ops.l1_ssim(rendering.color, target, view.weight)
        weight = self.virtual_ssim_weight if view.virtual else self.ssim_weight
        loss = (1 - weight) * l1 + weight * (1 - ssim)
        return self.virtual_weight * loss if view.virtual else loss
