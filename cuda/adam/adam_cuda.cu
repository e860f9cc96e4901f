#include "adam/adam_cuda.h"

#include "device/launch.h"

namespace recon::device {
namespace {

constexpr int kThreads = 256;

__device__ __forceinline__ float read(Scalar scalar) {
  return scalar.pointer != nullptr ? *scalar.pointer : scalar.value;
}

// Rows are skipped by value: neighbouring threads keep reading neighbouring memory.
__global__ void __launch_bounds__(kThreads)
    sparse_kernel(int64_t count, int columns, int leading, AdamSettings settings, Scalar learning_rate,
                  Scalar rest_learning_rate, Scalar step, const float* __restrict__ gradient, const uint8_t* __restrict__ visible,
                  float* __restrict__ parameter, float* __restrict__ first, float* __restrict__ second) {
  __shared__ AdamRates rates;
  if (threadIdx.x == 0) rates = adam_rates(settings, read(learning_rate), read(rest_learning_rate), read(step));
  __syncthreads();
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= count || (visible != nullptr && !visible[i / columns])) return;
  const float step_size = i % columns < leading ? rates.step_size : rates.rest_step_size;
  adam_update(settings, step_size, rates.inverse_root_correction, gradient[i], parameter[i], first[i], second[i]);
}

// Four values per thread, for arrays that are updated whole and at one rate.
__global__ void __launch_bounds__(kThreads)
    dense_kernel(int64_t quads, AdamSettings settings, Scalar learning_rate, Scalar step,
                 const float4* __restrict__ gradient, float4* __restrict__ parameter, float4* __restrict__ first,
                 float4* __restrict__ second) {
  __shared__ AdamRates rates;
  if (threadIdx.x == 0) rates = adam_rates(settings, read(learning_rate), 0.0f, read(step));
  __syncthreads();
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= quads) return;
  const float4 g = gradient[i];
  float4 p = parameter[i], m = first[i], v = second[i];
  const float step_size = rates.step_size, correction = rates.inverse_root_correction;
  adam_update(settings, step_size, correction, g.x, p.x, m.x, v.x);
  adam_update(settings, step_size, correction, g.y, p.y, m.y, v.y);
  adam_update(settings, step_size, correction, g.z, p.z, m.z, v.z);
  adam_update(settings, step_size, correction, g.w, p.w, m.w, v.w);
  parameter[i] = p;
  first[i] = m;
  second[i] = v;
}

bool aligned(const void* a, const void* b, const void* c, const void* d) {
  return ((reinterpret_cast<uintptr_t>(a) | reinterpret_cast<uintptr_t>(b) | reinterpret_cast<uintptr_t>(c) |
           reinterpret_cast<uintptr_t>(d)) %
          sizeof(float4)) == 0;
}

}  // namespace

void adam_step(int64_t rows, int64_t columns, int64_t leading, const AdamSettings& settings, Scalar learning_rate,
               Scalar rest_learning_rate, Scalar step, const float* gradient, const uint8_t* visible, float* parameter, float* first_moment,
               float* second_moment, void* stream) {
  const int64_t count = rows * columns;
  int64_t done = 0;
  if (visible == nullptr && leading >= columns && aligned(gradient, parameter, first_moment, second_moment)) {
    const int64_t quads = count / 4;
    if (quads > 0)
      launch(dense_kernel, dim3(blocks_for(quads, kThreads)), dim3(kThreads), stream, quads, settings, learning_rate,
             step, reinterpret_cast<const float4*>(gradient), reinterpret_cast<float4*>(parameter),
             reinterpret_cast<float4*>(first_moment), reinterpret_cast<float4*>(second_moment));
    done = 4 * quads;
  }
  if (done < count)
    launch(sparse_kernel, dim3(blocks_for(count - done, kThreads)), dim3(kThreads), stream, count - done,
           static_cast<int>(columns), static_cast<int>(leading), settings, learning_rate, rest_learning_rate, step,
           gradient + done, visible, parameter + done, first_moment + done, second_moment + done);
}

}  // namespace recon::device
