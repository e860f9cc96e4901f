// Mean absolute difference and mean structural similarity of two pictures, with the gradient to the first.
#pragma once

#include <cstdint>

#include "cpu/dispatch.h"

namespace recon {

struct L1SsimShape {
  int64_t height, width, channels;
};

}  // namespace recon

RECON_CPU_KERNELS(
    // Pictures are [height, width, channels]; mask is [height, width] or null (all ones).
    // results: weighted means of |x - y| and of the similarity over pixels and channels, and 1 / (sum of weights *
    // channels); all zero where no pixel has a weight.
    // partials: [3, height, width, channels] weighted derivatives of the similarity with respect to the local means
    // of x, x x and x y, for the backward; null where no gradient is wanted.
    void l1_ssim_forward(L1SsimShape shape, const float* image, const float* target, const float* mask, float* partials,
                         float results[3]);

    // gradient = d/d image of (d_l1 * mean |x - y| + d_ssim * mean similarity), with `inverse_weight` = results[2].
    void l1_ssim_backward(L1SsimShape shape, const float* image, const float* target, const float* mask,
                          const float* partials, float inverse_weight, float d_l1, float d_ssim, float* gradient);)
