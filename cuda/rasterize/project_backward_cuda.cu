// From a Gaussian's sums over pixels to the gradients of what the caller gave.
#include "math/alpha.h"
#include "math/project.h"
#include "math/spherical_harmonics.h"
#include "rasterize/splat.cuh"

namespace recon::device {
namespace {

constexpr int kThreads = 128;
constexpr int kCameraSums = 19;  // floats of math::CameraGradient
static_assert(sizeof(math::CameraGradient<float>) == kCameraSums * sizeof(float));

// Gradients that a thread holds until its block writes them together.
struct Staging {
  // One row of spherical-harmonic gradients per thread, an odd number of floats apart: no two threads share a bank.
  float sh[kThreads * 49];
};

// The adjoint of the colour: writes the gradient of sh (to `staged`) or of the colours, and adds what reaches the mean
// and the camera's centre through the view direction.
__device__ __forceinline__ void color_adjoint(const RasterizeInputs& in, const RasterizeGradients& out, int64_t i,
                                              const math::Camera<float>& camera, const math::Vector3<float>& mean,
                                              const float* __restrict__ row, float* staged,
                                              math::Vector3<float>& d_mean, math::Vector3<float>& d_center) {
  float g[3] = {row[kRowColor], row[kRowColor + 1], row[kRowColor + 2]};
  if (in.sh == nullptr) {
    if (out.colors != nullptr)
      for (int c = 0; c < 3; ++c) out.colors[3 * i + c] = g[c];
    return;
  }
  const int used = (in.sh_degree + 1) * (in.sh_degree + 1);
  const float* sh = in.sh + 3 * in.sh_bases * i;
  float inverse_distance, basis[16], d_basis[16];
  const math::Vector3<float> direction = math::view_direction(camera.center, mean, inverse_distance);
  math::sh_basis(in.sh_degree, direction, basis);
  float color[3] = {0.5f, 0.5f, 0.5f};
#pragma unroll
  for (int k = 0; k < 16; ++k)
    if (k < used)
      for (int c = 0; c < 3; ++c) color[c] += basis[k] * sh[3 * k + c];
  for (int c = 0; c < 3; ++c) g[c] = color[c] > 0.0f ? g[c] : 0.0f;
#pragma unroll
  for (int k = 0; k < 16; ++k) {
    d_basis[k] = 0.0f;
    if (k >= used) continue;
    for (int c = 0; c < 3; ++c) {
      d_basis[k] += g[c] * sh[3 * k + c];
      staged[3 * k + c] = g[c] * basis[k];
    }
  }
  const math::Vector3<float> d_direction = math::sh_basis_adjoint(in.sh_degree, direction, d_basis);
  const math::Vector3<float> d = math::view_direction_adjoint(direction, inverse_distance, d_direction);
  d_mean = d_mean + d;
  d_center = d_center - d;
}

template <bool kCamera>
__global__ void __launch_bounds__(kThreads)
    backward_kernel(RasterizeInputs in, RasterizeOutputs outputs, RasterizeGradients out,
                    const float* __restrict__ rows, double* __restrict__ camera_sums) {
  __shared__ Staging staging;
  __shared__ float warp_sums[kThreads / kWarp];
  const int64_t first = static_cast<int64_t>(blockIdx.x) * kThreads, i = first + threadIdx.x;
  const int sh_values = in.sh != nullptr ? 3 * in.sh_bases : 0;
  float* staged = staging.sh + threadIdx.x * 49;
  for (int k = 0; k < sh_values; ++k) staged[k] = 0.0f;

  math::CameraGradient<float> camera_gradient = {};
  math::GaussianGradient<float> g = {};
  float d_opacity = 0.0f;
  float2 d_offset = make_float2(0.0f, 0.0f);
  const bool exists = i < in.count;
  if (exists && out.colors != nullptr)
    for (int c = 0; c < 3; ++c) out.colors[3 * i + c] = 0.0f;
  if (exists && outputs.radii[i] > 0.0f) {
    const math::Camera<float> camera = math::make_camera(in.world_to_camera, in.intrinsics, in.width, in.height);
    const math::Vector3<float> mean = {in.means[3 * i], in.means[3 * i + 1], in.means[3 * i + 2]};
    const math::Vector3<float> scale = {in.scales[3 * i], in.scales[3 * i + 1], in.scales[3 * i + 2]};
    const math::Quaternion<float> quaternion = {in.quaternions[4 * i], in.quaternions[4 * i + 1],
                                                in.quaternions[4 * i + 2], in.quaternions[4 * i + 3]};
    const float* row = rows + i * kRowSize;
    math::ProjectionTerms<float> terms;
    const math::Projection<float> p = math::project(camera, mean, quaternion, scale, terms);
    const float opacity = in.opacities[i], effective = in.antialiased ? opacity * p.compensation : opacity;
    const math::Moments<float> moments = {row[kRowOne], row[kRowX],  row[kRowY],
                                          row[kRowXX],  row[kRowXY], row[kRowYY]};
    const auto m = math::moments_adjoint(moments, effective, p.conic_a, p.conic_b, p.conic_c);
    d_opacity = in.antialiased ? m.opacity * p.compensation : m.opacity;
    d_offset = out.absolute ? make_float2(row[kRowAbsoluteX], row[kRowAbsoluteY]) : make_float2(m.u, m.v);
    const math::ProjectionGradient<float> d = {m.u,
                                               m.v,
                                               row[kRowDepth],
                                               m.conic_a,
                                               m.conic_b,
                                               m.conic_c,
                                               in.antialiased ? m.opacity * opacity : 0.0f,
                                               {row[kRowNormal], row[kRowNormal + 1], row[kRowNormal + 2]}};
    g = math::project_adjoint<kCamera, true>(camera, mean, quaternion, scale, p, terms, d, &camera_gradient);
    color_adjoint(in, out, i, camera, mean, row, staged, g.mean, camera_gradient.center);
  }
  if (exists) {
    if (out.means != nullptr) {
      out.means[3 * i] = g.mean.x;
      out.means[3 * i + 1] = g.mean.y;
      out.means[3 * i + 2] = g.mean.z;
    }
    if (out.scales != nullptr) {
      out.scales[3 * i] = g.scale.x;
      out.scales[3 * i + 1] = g.scale.y;
      out.scales[3 * i + 2] = g.scale.z;
    }
    if (out.quaternions != nullptr) {
      out.quaternions[4 * i] = g.quaternion.w;
      out.quaternions[4 * i + 1] = g.quaternion.x;
      out.quaternions[4 * i + 2] = g.quaternion.y;
      out.quaternions[4 * i + 3] = g.quaternion.z;
    }
    if (out.opacities != nullptr) out.opacities[i] = d_opacity;
    if (out.screen_offsets != nullptr) {
      out.screen_offsets[2 * i] = d_offset.x;
      out.screen_offsets[2 * i + 1] = d_offset.y;
    }
  }
  if (out.sh != nullptr) {
    __syncthreads();
    const int64_t left = in.count - first;
    const int values = static_cast<int>(left < kThreads ? left : kThreads) * sh_values;
    for (int at = threadIdx.x; at < values; at += kThreads)
      out.sh[first * sh_values + at] = staging.sh[at / sh_values * 49 + at % sh_values];
  }
  if (kCamera) {
    const float* values = reinterpret_cast<const float*>(&camera_gradient);
    for (int k = 0; k < kCameraSums; ++k) {
      const float sum = block_sum<kThreads>(values[k], warp_sums);
      if (threadIdx.x == 0 && sum != 0.0f) atomicAdd(camera_sums + k, static_cast<double>(sum));
    }
  }
}

// Writes what all Gaussians and pixels share.
__global__ void finish_kernel(RasterizeInputs in, RasterizeGradients out, const double* __restrict__ sums) {
  const math::Camera<double> camera = [&] {
    double pose[16], intrinsics[4];
    for (int k = 0; k < 16; ++k) pose[k] = in.world_to_camera[k];
    for (int k = 0; k < 4; ++k) intrinsics[k] = in.intrinsics[k];
    return math::make_camera(pose, intrinsics, in.width, in.height);
  }();
  math::CameraGradient<double> g;
  double* values = reinterpret_cast<double*>(&g);
  for (int k = 0; k < kCameraSums; ++k) values[k] = sums[kSumCamera + k];
  math::center_adjoint(camera, g);
  if (out.world_to_camera != nullptr) {
    for (int k = 0; k < 16; ++k) out.world_to_camera[k] = 0.0f;
    for (int row = 0; row < 3; ++row) {
      for (int column = 0; column < 3; ++column)
        out.world_to_camera[4 * row + column] = static_cast<float>(g.rotation[3 * row + column]);
      out.world_to_camera[4 * row + 3] = static_cast<float>(g.translation[row]);
    }
  }
  if (out.intrinsics != nullptr) {
    out.intrinsics[0] = static_cast<float>(g.fx);
    out.intrinsics[1] = static_cast<float>(g.fy);
    out.intrinsics[2] = static_cast<float>(g.cx);
    out.intrinsics[3] = static_cast<float>(g.cy);
  }
  if (out.background != nullptr)
    for (int c = 0; c < 3; ++c) out.background[c] = static_cast<float>(sums[kSumBackground + c]);
}

}  // namespace

void project_backward(const RasterizeInputs& in, const RasterizeOutputs& outputs, const RasterizeGradients& gradients,
                      const float* rows, double* sums, void* stream) {
  const bool with_camera = gradients.world_to_camera != nullptr || gradients.intrinsics != nullptr;
  if (in.count > 0)
    launch(with_camera ? backward_kernel<true> : backward_kernel<false>, dim3(blocks_for(in.count, kThreads)),
           dim3(kThreads), stream, in, outputs, gradients, rows, sums + kSumCamera);
  if (with_camera || gradients.background != nullptr)
    launch(finish_kernel, dim3(1), dim3(1), stream, in, gradients, sums);
}

void rasterize_backward(const RasterizeInputs& in, const RasterizeOutputs& out, const RasterizeUpstream& upstream,
                        const RasterizeGradients& gradients, const RasterizeState& state, void* stream,
                        const Allocate& scratch) {
  const size_t n = static_cast<size_t>(in.count);
  auto* rows = allocate<float>(scratch, n * kRowSize);
  auto* sums = allocate<double>(scratch, kSumSize);
  fill(rows, 0, n * kRowSize * sizeof(float), stream);
  fill(sums, 0, kSumSize * sizeof(double), stream);
  if (gradients.features != nullptr)
    fill(gradients.features, 0, n * static_cast<size_t>(in.feature_count) * sizeof(float), stream);
  blend_backward(in, out, upstream, state, rows, gradients.features,
                 gradients.background != nullptr ? sums + kSumBackground : nullptr,
                 gradients.absolute && gradients.screen_offsets != nullptr, stream);
  project_backward(in, out, gradients, rows, sums, stream);
}

}  // namespace recon::device
