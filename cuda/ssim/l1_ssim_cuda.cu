// Each block walks down a strip of the picture, one thread per value of a row (channels interleaved). A row passes
// through shared memory once for the horizontal taps; the vertical taps are a systolic chain of sums in registers:
// sum[i] = sum[i + 1] + window[i] * row, so that sum[0] is complete after eleven rows and nothing is stored twice.
#include "ssim/l1_ssim_cuda.h"

#include "device/launch.h"
#include "math/ssim.h"

namespace recon::device {
namespace {

using ssim::kRadius;
using ssim::kTaps;
using ssim::window;

constexpr int kThreads = 128;     // values of a row per block
constexpr int kRows = 32;         // rows per block; kTaps - 1 more are read
constexpr int kMaxChannels = 4;   // bounds the row's margin in shared memory
constexpr int kRowValues = kThreads + 2 * kRadius * kMaxChannels;

struct BlockSums {
  float l1, similarity, weight;
};

// Loads one row of `maps` pictures, with the margin the taps need and zeros outside the picture.
template <int maps>
__device__ __forceinline__ void load_row(const L1SsimShape& shape, const float* const (&pictures)[maps], int row,
                                         int first, float (&shared)[maps][kRowValues]) {
  const int values = shape.width * shape.channels, margin = kRadius * shape.channels;
  const bool inside_row = row >= 0 && row < shape.height;
  for (int i = threadIdx.x; i < kThreads + 2 * margin; i += kThreads) {
    const int column = first + i - margin;
    const bool inside = inside_row && column >= 0 && column < values;
    for (int map = 0; map < maps; ++map)
      shared[map][i] = inside ? pictures[map][static_cast<int64_t>(row) * values + column] : 0.0f;
  }
}

template <int maps>
__device__ __forceinline__ void push_row(const float (&row)[maps], float (&sums)[maps][kTaps]) {
#pragma unroll
  for (int map = 0; map < maps; ++map) {
#pragma unroll
    for (int i = 0; i + 1 < kTaps; ++i) sums[map][i] = sums[map][i + 1] + window(i) * row[map];
    sums[map][kTaps - 1] = window(kTaps - 1) * row[map];
  }
}

__global__ void __launch_bounds__(kThreads)
    forward_kernel(L1SsimShape shape, const float* __restrict__ image, const float* __restrict__ target,
                   const float* __restrict__ mask, float* __restrict__ partials, BlockSums* __restrict__ block_sums) {
  __shared__ float rows[2][2][kRowValues];  // double buffer: one barrier per row
  __shared__ float warp_sums[kThreads / kWarp];
  const int values = shape.width * shape.channels, step = shape.channels;
  const int first = blockIdx.x * kThreads, column = first + threadIdx.x, begin = blockIdx.y * kRows;
  const int end = min(begin + kRows, shape.height);
  const int64_t plane = static_cast<int64_t>(values) * shape.height;
  const float* const pictures[2] = {image, target};
  float sums[4][kTaps] = {};
  float l1 = 0.0f, similarity = 0.0f, weights = 0.0f;

  for (int row = begin - kRadius; row < end + kRadius; ++row) {
    float(&shared)[2][kRowValues] = rows[row & 1];
    load_row(shape, pictures, row, first, shared);
    __syncthreads();
    float filtered[4] = {};
#pragma unroll
    for (int tap = 0; tap < kTaps; ++tap) {
      const float x = shared[0][threadIdx.x + tap * step], y = shared[1][threadIdx.x + tap * step];
      const float weighted_x = window(tap) * x, weighted_y = window(tap) * y;
      filtered[0] += weighted_x;
      filtered[1] += weighted_y;
      filtered[2] += weighted_x * x + weighted_y * y;
      filtered[3] += weighted_x * y;
    }
    push_row(filtered, sums);

    const int finished = row - kRadius;
    if (finished < begin || column >= values) continue;
    const int64_t at = static_cast<int64_t>(finished) * values + column;
    const float weight = mask != nullptr ? mask[static_cast<int64_t>(finished) * shape.width + column / step] : 1.0f;
    const auto s = ssim::similarity<float>(sums[0][0], sums[1][0], sums[2][0], sums[3][0]);
    similarity += weight * s.value;
    l1 += weight * fabsf(image[at] - target[at]);
    weights += weight;
    if (partials != nullptr) {
      partials[at] = weight * s.d_mean;
      partials[plane + at] = weight * s.d_square;
      partials[2 * plane + at] = weight * s.d_product;
    }
  }

  l1 = block_sum<kThreads>(l1, warp_sums);
  similarity = block_sum<kThreads>(similarity, warp_sums);
  weights = block_sum<kThreads>(weights, warp_sums);
  if (threadIdx.x == 0) block_sums[blockIdx.y * gridDim.x + blockIdx.x] = {l1, similarity, weights};
}

// Adds the blocks' sums in a fixed order.
__global__ void __launch_bounds__(kThreads) finish_kernel(const BlockSums* block_sums, int blocks, float* results) {
  __shared__ double warp_sums[kThreads / kWarp];
  double l1 = 0.0, similarity = 0.0, weight = 0.0;
  for (int i = threadIdx.x; i < blocks; i += kThreads) {
    l1 += block_sums[i].l1;
    similarity += block_sums[i].similarity;
    weight += block_sums[i].weight;
  }
  l1 = block_sum<kThreads>(l1, warp_sums);
  similarity = block_sum<kThreads>(similarity, warp_sums);
  weight = block_sum<kThreads>(weight, warp_sums);
  if (threadIdx.x != 0) return;
  const double inverse_weight = weight > 0.0 ? 1.0 / weight : 0.0;
  results[0] = static_cast<float>(l1 * inverse_weight);
  results[1] = static_cast<float>(similarity * inverse_weight);
  results[2] = static_cast<float>(inverse_weight);
}

__global__ void __launch_bounds__(kThreads)
    backward_kernel(L1SsimShape shape, const float* __restrict__ image, const float* __restrict__ target,
                    const float* __restrict__ mask, const float* __restrict__ partials,
                    const float* __restrict__ results, const float* __restrict__ d_l1,
                    const float* __restrict__ d_ssim, float* __restrict__ gradient) {
  __shared__ float rows[2][3][kRowValues];
  const int values = shape.width * shape.channels, step = shape.channels;
  const int first = blockIdx.x * kThreads, column = first + threadIdx.x, begin = blockIdx.y * kRows;
  const int end = min(begin + kRows, shape.height);
  const int64_t plane = static_cast<int64_t>(values) * shape.height;
  const float* const pictures[3] = {partials, partials + plane, partials + 2 * plane};
  const float l1_scale = *d_l1 * results[2], ssim_scale = *d_ssim * results[2];
  float sums[3][kTaps] = {};

  for (int row = begin - kRadius; row < end + kRadius; ++row) {
    float(&shared)[3][kRowValues] = rows[row & 1];
    load_row(shape, pictures, row, first, shared);
    __syncthreads();
    float filtered[3] = {};
#pragma unroll
    for (int tap = 0; tap < kTaps; ++tap)
#pragma unroll
      for (int map = 0; map < 3; ++map) filtered[map] += window(tap) * shared[map][threadIdx.x + tap * step];
    push_row(filtered, sums);

    const int finished = row - kRadius;
    if (finished < begin || column >= values) continue;
    const int64_t at = static_cast<int64_t>(finished) * values + column;
    const float x = image[at], y = target[at];
    const float weight = mask != nullptr ? mask[static_cast<int64_t>(finished) * shape.width + column / step] : 1.0f;
    const float sign = x > y ? 1.0f : x < y ? -1.0f : 0.0f;
    gradient[at] =
        l1_scale * weight * sign + ssim_scale * (sums[0][0] + 2.0f * x * sums[1][0] + y * sums[2][0]);
  }
}

dim3 grid_of(const L1SsimShape& shape) {
  return dim3(blocks_for(shape.width * shape.channels, kThreads), blocks_for(shape.height, kRows));
}

void check_channels(const L1SsimShape& shape) {
  if (shape.channels > kMaxChannels)
    throw std::invalid_argument("l1_ssim on CUDA takes pictures of at most 4 channels, got " +
                                std::to_string(shape.channels));
}

}  // namespace

void l1_ssim_forward(L1SsimShape shape, const float* image, const float* target, const float* mask, float* partials,
                     float* results, void* stream, const Allocate& source) {
  check_channels(shape);
  const dim3 grid = grid_of(shape);
  const int blocks = static_cast<int>(grid.x * grid.y);
  auto* block_sums = allocate<BlockSums>(source, blocks);
  launch(forward_kernel, grid, dim3(kThreads), stream, shape, image, target, mask, partials, block_sums);
  launch(finish_kernel, dim3(1), dim3(kThreads), stream, block_sums, blocks, results);
}

void l1_ssim_backward(L1SsimShape shape, const float* image, const float* target, const float* mask,
                      const float* partials, const float* results, const float* d_l1, const float* d_ssim,
                      float* gradient, void* stream) {
  check_channels(shape);
  launch(backward_kernel, grid_of(shape), dim3(kThreads), stream, shape, image, target, mask, partials, results, d_l1,
         d_ssim, gradient);
}

}  // namespace recon::device
