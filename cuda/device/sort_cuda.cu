#include "device/sort.h"

#include "device/launch.h"

#if defined(RECON_EMULATE_CUDA)

#include <algorithm>
#include <numeric>

namespace recon::device {

int sort_pairs(const SortBuffers& buffers, int64_t count, int bits, const Allocate&, void*) {
  const uint32_t mask = bits >= 32 ? ~0u : (1u << bits) - 1;
  std::vector<int64_t> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return (buffers.keys[0][a] & mask) < (buffers.keys[0][b] & mask); });
  for (int64_t i = 0; i < count; ++i) {
    buffers.keys[1][i] = buffers.keys[0][order[static_cast<size_t>(i)]];
    buffers.values[1][i] = buffers.values[0][order[static_cast<size_t>(i)]];
  }
  return 1;
}

void inclusive_sum(const uint32_t* values, uint32_t* sums, int64_t count, const Allocate&, void*) {
  std::partial_sum(values, values + count, sums);
}

}  // namespace recon::device

#else

#include <cub/device/device_radix_sort.cuh>
#include <cub/device/device_scan.cuh>

namespace recon::device {

int sort_pairs(const SortBuffers& buffers, int64_t count, int bits, const Allocate& allocate, void* stream) {
  cub::DoubleBuffer<uint32_t> keys(buffers.keys[0], buffers.keys[1]), values(buffers.values[0], buffers.values[1]);
  const auto cuda_stream = static_cast<cudaStream_t>(stream);
  const int items = static_cast<int>(count);
  size_t bytes = 0;
  check(cub::DeviceRadixSort::SortPairs(nullptr, bytes, keys, values, items, 0, bits, cuda_stream));
  check(cub::DeviceRadixSort::SortPairs(allocate(bytes), bytes, keys, values, items, 0, bits, cuda_stream));
  return keys.selector;
}

void inclusive_sum(const uint32_t* values, uint32_t* sums, int64_t count, const Allocate& allocate, void* stream) {
  const auto cuda_stream = static_cast<cudaStream_t>(stream);
  const int items = static_cast<int>(count);
  size_t bytes = 0;
  check(cub::DeviceScan::InclusiveSum(nullptr, bytes, values, sums, items, cuda_stream));
  check(cub::DeviceScan::InclusiveSum(allocate(bytes), bytes, values, sums, items, cuda_stream));
}

}  // namespace recon::device

#endif
