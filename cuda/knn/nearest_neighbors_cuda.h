// Exact k nearest neighbours on the device; see nearest_neighbors_cpu.h for the arguments.
#pragma once

#include <cstdint>

#include "device/scratch.h"

namespace recon::device {

void nearest_neighbors(int64_t count, const float* points, int k, float* distances, int64_t* indices, void* stream,
                       const Allocate& allocate);

}  // namespace recon::device
