// Mean absolute difference and mean structural similarity on the device; see l1_ssim_cpu.h for the arguments.
#pragma once

#include <cstdint>

#include "device/scratch.h"

namespace recon::device {

struct L1SsimShape {
  int height, width, channels;
};

void l1_ssim_forward(L1SsimShape shape, const float* image, const float* target, const float* mask, float* partials,
                     float* results, void* stream, const Allocate& allocate);

void l1_ssim_backward(L1SsimShape shape, const float* image, const float* target, const float* mask,
                      const float* partials, const float* results, const float* d_l1, const float* d_ssim,
                      float* gradient, void* stream);

}  // namespace recon::device
