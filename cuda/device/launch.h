// How *_cuda.cu files start their kernels. The same files also compile as plain C++ with RECON_EMULATE_CUDA, where
// device/emulation.h runs every block's threads one after the other: so their logic is tested on machines with no GPU.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(RECON_EMULATE_CUDA)
#include "device/emulation.h"
#else
#include <cuda_runtime.h>
#endif

#include <stdexcept>
#include <string>

namespace recon::device {

constexpr unsigned kAllLanes = 0xffffffffu;
constexpr int kWarp = 32;

inline unsigned blocks_for(int64_t count, int64_t per_block) {
  return static_cast<unsigned>((count + per_block - 1) / per_block);
}

#if defined(RECON_EMULATE_CUDA)

template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, void*, Arguments... arguments) {
  emulation::run(grid, block, [=] { kernel(static_cast<Parameters>(arguments)...); });
}

#else

inline void check(cudaError_t error) {
  if (error != cudaSuccess)
    throw std::runtime_error(std::string("a CUDA kernel failed: ") + cudaGetErrorString(error));
}

// Starts `kernel` on `stream` (a cudaStream_t); grids with no block are skipped.
template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, void* stream, Arguments... arguments) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
  kernel<<<grid, block, 0, static_cast<cudaStream_t>(stream)>>>(static_cast<Parameters>(arguments)...);
  check(cudaGetLastError());
}

#endif

// Sets `bytes` bytes of device memory to `value`.
inline void fill(void* memory, int value, size_t bytes, void* stream) {
#if defined(RECON_EMULATE_CUDA)
  (void)stream;
  std::memset(memory, value, bytes);
#else
  if (bytes > 0) check(cudaMemsetAsync(memory, value, bytes, static_cast<cudaStream_t>(stream)));
#endif
}

// Copies `bytes` bytes from one place of device memory to another.
inline void copy(void* to, const void* from, size_t bytes, void* stream) {
#if defined(RECON_EMULATE_CUDA)
  (void)stream;
  std::memcpy(to, from, bytes);
#else
  if (bytes > 0) check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, static_cast<cudaStream_t>(stream)));
#endif
}

// The sum over the threads of a warp, in lane 0; the order of additions is fixed.
template <class T>
__device__ __forceinline__ T warp_sum(T value) {
  for (int width = kWarp / 2; width > 0; width /= 2) value += __shfl_down_sync(kAllLanes, value, width);
  return value;
}

// The sum over the threads of a block of `threads`, in thread 0; `shared` holds one value per warp.
template <int threads, class T>
__device__ __forceinline__ T block_sum(T value, T* shared) {
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  value = warp_sum(value);
  __syncthreads();  // `shared` may still be read from an earlier sum
  if (lane == 0) shared[warp] = value;
  __syncthreads();
  T total = {};
  if (threadIdx.x == 0)
    for (int i = 0; i < threads / kWarp; ++i) total += shared[i];
  return total;
}

}  // namespace recon::device
