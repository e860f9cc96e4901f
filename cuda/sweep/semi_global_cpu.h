#pragma once

#include <cstdint>

#include "cpu/dispatch.h"

namespace recon {

struct SemiGlobal {
  const uint8_t* volume;  // [height, width, planes] matching costs
  const uint8_t* gray;    // [height, width]
  int64_t width, height;
  int64_t planes;                   // a multiple of 16
  int32_t small_penalty;            // for a step of one plane
  const int32_t* large_penalties;   // [256] for a larger step, by the absolute difference of grey across it
  float* index;                     // [height, width] the winning plane with its parabola offset
  float* best;                      // [height, width] summed cost of the winner
  float* runner_up;                 // [height, width] least summed cost away from the winner
};

}  // namespace recon

RECON_CPU_KERNELS(void semi_global_matching(const SemiGlobal& matching);)
