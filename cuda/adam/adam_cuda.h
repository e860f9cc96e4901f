// One Adam step on the device; see adam_cpu.h for the arguments.
#pragma once

#include <cstdint>

#include "math/adam.h"

namespace recon::device {

// A number known when the kernel starts, or read on the device where a pointer is given.
struct Scalar {
  const float* pointer;
  float value;
};

void adam_step(int64_t rows, int64_t columns, int64_t leading, const AdamSettings& settings, Scalar learning_rate,
               Scalar rest_learning_rate, Scalar step, const float* gradient, const uint8_t* visible, float* parameter, float* first_moment,
               float* second_moment, void* stream);

}  // namespace recon::device
