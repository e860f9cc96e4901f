// kLanes Gaussians at a time: reading their parameters, their colour, and moving between fields and rows.
#pragma once

#include <algorithm>
#include <cmath>

#include "cpu/pack_math.h"
#include "math/alpha.h"
#include "math/project.h"
#include "math/spherical_harmonics.h"
#include "rasterize/rasterize.h"
#include "rasterize/rasterize_state.h"

namespace recon::RECON_ISA {

using Vec3 = math::Vector3<f32>;

constexpr float kLog2E = 1.4426950408889634f;
constexpr float kLn2 = 0.6931471805599453f;

struct GaussianPack {
  Vec3 mean;
  math::Quaternion<f32> quaternion;
  Vec3 scale;
  f32 opacity;
};

RECON_INLINE GaussianPack load_gaussians(const RasterizeInputs& in, int64_t first, int valid) {
  f32 mean[3], quaternion[4], scale[3], opacity[1];
  load_structs<3>(in.means + 3 * first, valid, mean);
  load_structs<4>(in.quaternions + 4 * first, valid, quaternion);
  load_structs<3>(in.scales + 3 * first, valid, scale);
  load_structs<1>(in.opacities + first, valid, opacity);
  return {{mean[0], mean[1], mean[2]},
          {quaternion[0], quaternion[1], quaternion[2], quaternion[3]},
          {scale[0], scale[1], scale[2]},
          opacity[0]};
}

// 16 fields of kLanes items -> kLanes rows of 16 floats.
RECON_INLINE void fields_to_rows(const f32* fields, float* rows) {
  for (int part = 0; part < 16 / kLanes; ++part) {
    f32 square[kLanes];
    for (int k = 0; k < kLanes; ++k) square[k] = fields[part * kLanes + k];
    transpose(square);
    for (int i = 0; i < kLanes; ++i) store(rows + 16 * i + part * kLanes, square[i]);
  }
}
RECON_INLINE void rows_to_fields(const float* rows, f32* fields) {
  for (int part = 0; part < 16 / kLanes; ++part) {
    f32* square = fields + part * kLanes;
    for (int i = 0; i < kLanes; ++i) square[i] = load(rows + 16 * i + part * kLanes);
    transpose(square);
  }
}

// The spherical harmonics of a pack of view directions, by lane.
struct ViewBasis {
  Vec3 direction;
  f32 inverse_distance;
  alignas(64) float basis[16][kLanes];
};
RECON_INLINE void view_basis(const RasterizeInputs& in, const math::Camera<float>& camera, const Vec3& mean, ViewBasis& view) {
  f32 basis[16];
  view.direction = math::view_direction(camera.center, mean, view.inverse_distance);
  math::sh_basis(in.sh_degree, view.direction, basis);
  for (int k = 0; k < math::sh_bases(in.sh_degree); ++k) store(view.basis[k], basis[k]);
}

// Colour before it is clamped at 0.
RECON_INLINE Vec3 unclamped_colors(const RasterizeInputs& in, const math::Camera<float>& camera, const Vec3& mean,
                                   int64_t first, int valid) {
  f32 color[3];
  if (in.sh == nullptr) {
    load_structs<3>(in.colors + 3 * first, valid, color);
    return {color[0], color[1], color[2]};
  }
  ViewBasis view;
  view_basis(in, camera, mean, view);
  const int used = math::sh_bases(in.sh_degree);
  alignas(64) float sums[3][kLanes];
  for (int i = 0; i < kLanes; ++i) {
    const float* sh = in.sh + 3 * in.sh_bases * (first + std::min(i, valid - 1));
    float r = 0.5f, g = 0.5f, b = 0.5f;
    for (int k = 0; k < used; ++k) {
      const float weight = view.basis[k][i];
      r += weight * sh[3 * k];
      g += weight * sh[3 * k + 1];
      b += weight * sh[3 * k + 2];
    }
    sums[0][i] = r;
    sums[1][i] = g;
    sums[2][i] = b;
  }
  return {load(sums[0]), load(sums[1]), load(sums[2])};
}

// log2(x) for positive normal x: exponent plus the atanh series of the mantissa in [sqrt(1/2), sqrt(2)).
RECON_INLINE f32 log2(f32 x) {
  i32 bits;
  std::memcpy(&bits, &x, sizeof bits);
  const i32 shifted = bits - 0x3f3504f3;  // sqrt(1/2)
  const i32 exponent = shifted >> 23;
  const f32 mantissa = bits_to_float(bits - (exponent << 23));
  const f32 t = (mantissa - 1.0f) / (mantissa + 1.0f);
  const f32 t2 = t * t;
  f32 series = splat(1.0f / 9.0f);
  series = fma(series, t2, splat(1.0f / 7.0f));
  series = fma(series, t2, splat(1.0f / 5.0f));
  series = fma(series, t2, splat(1.0f / 3.0f));
  series = fma(series, t2, splat(1.0f));
  return fma(t * series, splat(2.0f * kLog2E), __builtin_convertvector(exponent, f32));
}

}  // namespace recon::RECON_ISA
