#pragma once

#include <cstdint>

#include "cpu/dispatch.h"

namespace recon {

// Every pixel holds a plane: inverse depth at its centre and its slopes per pixel to the right and down.
struct PatchMatch {
  const int32_t* reference;  // [height, width] packed pixels (math/sweep.h)
  int64_t width, height;
  const int32_t* sources;       // [source_count, source_height, source_width] packed pixels
  const int32_t* source_sizes;  // [source_count, 2]
  int64_t source_count, source_width, source_height;
  const float* projections;     // [source_count, 3, 4]
  const float* inverse_depths;  // [height, width] where the search starts and is held to; 0 = no plane here
  float focal;                  // of the reference, pixels: the unit of the slopes' random changes
  int32_t sweeps;
  float depth_step;  // relative change of inverse depth tried at first; halves every sweep
  float holding;     // cost of moving 2 % away from where the search started
  float* planes;     // [3, height, width] inverse depth (in: start), slope to the right, slope down
  float* costs;      // [height, width] out: bilateral NCC cost of the plane, without the holding term
};

}  // namespace recon

RECON_CPU_KERNELS(void refine_planes(const PatchMatch& match);)
