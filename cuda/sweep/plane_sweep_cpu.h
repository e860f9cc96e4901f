#pragma once

#include <cstdint>

#include "cpu/dispatch.h"

namespace recon {

// Pictures are packed pixels (math/sweep.h). Sources are padded to a common size.
struct PlaneSweep {
  const int32_t* reference;  // [height, width]
  int64_t width, height;
  const int32_t* sources;  // [source_count, source_height, source_width]
  const int32_t* source_sizes;  // [source_count, 2] width, height actually used
  int64_t source_count, source_width, source_height;
  const float* projections;     // [source_count, 3, 4]: maps (u, v, 1, inverse depth) to homogeneous source pixels
  const float* inverse_depths;  // [planes]
  int64_t planes;               // a multiple of 16
  const float* source_depths;   // [source_count, source_height, source_width] or null; 0 = unknown
  float lowest_weight;          // weight of the minimum over sources, the rest goes to their mean
  uint8_t* volume;              // [height, width, planes]
};

}  // namespace recon

RECON_CPU_KERNELS(void plane_sweep(const PlaneSweep& sweep);)
