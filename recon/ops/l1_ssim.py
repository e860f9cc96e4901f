"""The two photometric losses of Gaussian splatting, in one pass over the pictures."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from recon.ops import native
from recon.ops.shapes import Shapes


def l1_ssim(
    image: Float[Tensor, "H W C"],
    target: Float[Tensor, "H W C"],
    mask: Float[Tensor, "H W"] | None = None,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Compare a picture with its target by mean absolute difference and mean structural similarity.

    Differentiable in `image` only. The similarity uses an 11 x 11 Gaussian window of sigma 1.5 and zero
    padding.

    Args:
        image: [H, W, C] values in [0, 1].
        target: [H, W, C] values in [0, 1].
        mask: [H, W] weights >= 0 of the pixels in both means; all equal where not given. The windows
            themselves still see pixels of weight zero.

    Returns:
        The mean of |image - target| and the mean similarity (1 for equal pictures); both 0 where all weights
        are 0.

    Raises:
        TypeError, ValueError: if a dtype, shape or device does not fit, or target or mask require a gradient.

    Source:
        Wang et al., "Image quality assessment: from error visibility to structural similarity", 2004,
        section III; the loss is equation 7 of Kerbl et al., "3D Gaussian splatting", 2023.
    """
    shapes = Shapes("l1_ssim")
    shapes.check("image", image, "H W C")
    shapes.check("target", target, "H W C")
    if mask is not None:
        shapes.check("mask", mask, "H W")
    if target.requires_grad or (mask is not None and mask.requires_grad):
        raise ValueError("l1_ssim: target and mask get no gradient; pass target.detach() and mask.detach()")
    l1, ssim = _L1Ssim.apply(image, target, mask)
    return l1, ssim


class _L1Ssim(torch.autograd.Function):
    @staticmethod
    def forward(ctx, image, target, mask):
        image, target = image.detach().contiguous(), target.contiguous()
        mask = None if mask is None else mask.contiguous()
        partials = image.new_empty((3, *image.shape)) if ctx.needs_input_grad[0] else None
        results = image.new_empty(3)
        native.call("l1_ssim_forward", image, target, mask, partials, results)
        ctx.save_for_backward(image, target, mask, partials, results)
        return results[0].clone(), results[1].clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, d_l1, d_ssim):
        image, target, mask, partials, results = ctx.saved_tensors
        gradient = torch.empty_like(image)
        native.call("l1_ssim_backward", image, target, mask, partials, results, d_l1, d_ssim, gradient)
        return gradient, None, None
