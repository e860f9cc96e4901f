// Exact k nearest neighbours of every point among the others.
#pragma once

#include <cstdint>

#include "cpu/dispatch.h"

RECON_CPU_KERNELS(
    // points [count, 3]; distances and indices [count, k], k < count, nearest first, equal distances by index.
    void nearest_neighbors(int64_t count, const float* points, int k, float* distances, int64_t* indices);)
