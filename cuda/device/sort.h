// Radix sort and prefix sum on the device, the only users of CUB: one file, so it is compiled once.
#pragma once

#include <cstdint>

#include "device/scratch.h"

namespace recon::device {

// Keys and their values, twice: the sort goes back and forth between the two.
struct SortBuffers {
  uint32_t* keys[2];
  uint32_t* values[2];
};

// Sorts by the lowest `bits` bits of the keys, equal keys in their order; returns which of the two holds the result.
int sort_pairs(const SortBuffers& buffers, int64_t count, int bits, const Allocate& allocate, void* stream);

// sums[i] = values[0] + ... + values[i].
void inclusive_sum(const uint32_t* values, uint32_t* sums, int64_t count, const Allocate& allocate, void* stream);

}  // namespace recon::device
