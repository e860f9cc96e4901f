// Stage 2 of the backward: add up each Gaussian's rows and take them back to its parameters and the camera.
#include <vector>

#include "cpu/threads.h"
#include "rasterize/gaussian_pack.h"
#include "rasterize/rasterize_cpu.h"

namespace recon::RECON_ISA {
namespace {

constexpr int kCameraFloats = 19;  // rotation 9, translation 3, fx fy cx cy, centre 3

// Sum of a Gaussian's rows, in slot order.
RECON_INLINE void sum_rows(const float* rows, uint32_t count, float* total) {
  f32 sums[kRowSize / kLanes];
  for (auto& s : sums) s = splat(0.0f);
  for (uint32_t h = 0; h < count; ++h)
    for (int k = 0; k < kRowSize / kLanes; ++k) sums[k] += load(rows + h * kRowSize + k * kLanes);
  for (int k = 0; k < kRowSize / kLanes; ++k) store(total + k * kLanes, sums[k]);
}

RECON_INLINE Vec3 only(i32 lanes, const Vec3& v) {
  const f32 zero = splat(0.0f);
  return {select(lanes, v.x, zero), select(lanes, v.y, zero), select(lanes, v.z, zero)};
}

// Gradient of a pack's spherical harmonics, and through the view direction of the means and the camera's centre.
RECON_INLINE Vec3 sh_backward(const RasterizeInputs& in, const math::Camera<float>& camera, const Vec3& mean,
                              const Vec3& d_color, int64_t first, int valid, float* d_sh) {
  ViewBasis view;
  view_basis(in, camera, mean, view);
  const int used = math::sh_bases(in.sh_degree);
  alignas(64) float d_basis[16][kLanes] = {};
  for (int i = 0; i < valid; ++i) {
    const int64_t at = 3 * in.sh_bases * (first + i);
    const float r = d_color.x[i], g = d_color.y[i], b = d_color.z[i];
    if (d_sh != nullptr) {
      for (int k = 0; k < used; ++k) {
        const float weight = view.basis[k][i];
        d_sh[at + 3 * k] = weight * r;
        d_sh[at + 3 * k + 1] = weight * g;
        d_sh[at + 3 * k + 2] = weight * b;
      }
      for (int k = 3 * used; k < 3 * in.sh_bases; ++k) d_sh[at + k] = 0.0f;
    }
    // Unseen Gaussians may hold anything, NaN included.
    if (used > 1 && (r != 0.0f || g != 0.0f || b != 0.0f))
      for (int k = 1; k < used; ++k)
        d_basis[k][i] = in.sh[at + 3 * k] * r + in.sh[at + 3 * k + 1] * g + in.sh[at + 3 * k + 2] * b;
  }
  f32 d[16];
  for (int k = 0; k < 16; ++k) d[k] = load(d_basis[k]);
  const Vec3 d_direction = math::sh_basis_adjoint(in.sh_degree, view.direction, d);
  return math::view_direction_adjoint(view.direction, view.inverse_distance, d_direction);
}

void write_zeros(const RasterizeInputs& in, const RasterizeGradients& out, int64_t first, int64_t count) {
  const auto clear = [&](float* gradient, int64_t width) {
    if (gradient != nullptr) std::fill_n(gradient + first * width, count * width, 0.0f);
  };
  clear(out.means, 3);
  clear(out.quaternions, 4);
  clear(out.scales, 3);
  clear(out.opacities, 1);
  clear(out.sh, 3 * in.sh_bases);
  clear(out.colors, 3);
  clear(out.screen_offsets, 2);
}

template <bool kCamera, bool kNormal>
void finish_chunk(const RasterizeInputs& in, const RasterizeUpstream& upstream, const RasterizeGradients& out,
                  const math::Camera<float>& camera, RasterizeState& state, int64_t index) {
  const f32 zero = splat(0.0f);
  const float* rows = state.rows.data() + state.chunks[index].first_slot * kRowSize;
  const float* feature_rows = state.feature_rows.data() + state.chunks[index].first_slot * in.feature_count;
  math::CameraGradient<f32> d_camera = {};
  const int64_t end = std::min<int64_t>(in.count, (index + 1) * kChunk);
  for (int64_t first = index * kChunk; first < end; first += kLanes) {
    const int valid = static_cast<int>(std::min<int64_t>(kLanes, end - first));
    alignas(64) float totals[kLanes][kRowSize] = {};
    alignas(64) float colors[3][kLanes] = {};
    i32 seen = splat(int32_t{0});
    int one_seen = -1;
    for (int i = 0; i < valid; ++i) {
      const uint32_t count = state.hits[first + i].count;
      if (out.features != nullptr) {
        float* d = out.features + (first + i) * in.feature_count;
        std::fill(d, d + in.feature_count, 0.0f);
        if (upstream.features != nullptr)
          for (uint32_t h = 0; h < count; ++h)
            for (int c = 0; c < in.feature_count; ++c)
              d[c] += feature_rows[static_cast<int64_t>(state.hits[first + i].begin + h) * in.feature_count + c];
      }
      if (count == 0) continue;
      sum_rows(rows + static_cast<int64_t>(state.hits[first + i].begin) * kRowSize, count, totals[i]);
      if (in.sh != nullptr)
        for (int c = 0; c < 3; ++c) colors[c][i] = state.splats[first + i].color[c];
      seen[i] = -1;
      one_seen = i;
    }
    if (one_seen < 0) {
      write_zeros(in, out, first, valid);
      continue;
    }
    f32 t[kRowSize];
    rows_to_fields(totals[0], t);

    // Unseen Gaussians may hold anything, NaN included: compute on a seen one instead.
    GaussianPack g = load_gaussians(in, first, valid);
    for (f32* field : {&g.mean.x, &g.mean.y, &g.mean.z, &g.quaternion.w, &g.quaternion.x, &g.quaternion.y,
                       &g.quaternion.z, &g.scale.x, &g.scale.y, &g.scale.z, &g.opacity})
      *field = select(seen, *field, splat(static_cast<float>((*field)[one_seen])));
    math::ProjectionTerms<f32> terms;
    const math::Projection<f32> p = math::project(camera, g.mean, g.quaternion, g.scale, terms);
    const f32 opacity = in.antialiased ? g.opacity * p.compensation : g.opacity;
    const auto m = math::moments_adjoint<f32>({t[kRowOne], t[kRowX], t[kRowY], t[kRowXX], t[kRowXY], t[kRowYY]}, opacity,
                                              p.conic_a, p.conic_b, p.conic_c);
    math::ProjectionGradient<f32> d_projection = {m.u, m.v, t[kRowDepth], m.conic_a, m.conic_b, m.conic_c, zero,
                                                  {t[kRowNormal], t[kRowNormal + 1], t[kRowNormal + 2]}};
    f32 d_opacity = m.opacity;
    if (in.antialiased) {
      d_projection.compensation = d_opacity * g.opacity;
      d_opacity *= p.compensation;
    }
    math::GaussianGradient<f32> d = math::project_adjoint<kCamera, kNormal>(camera, g.mean, g.quaternion, g.scale, p,
                                                                            terms, d_projection, &d_camera);
    if (in.sh != nullptr) {
      // The clamp at 0 passes no gradient.
      const Vec3 d_color = {select(load(colors[0]) > 0.0f, t[kRowColor], zero),
                            select(load(colors[1]) > 0.0f, t[kRowColor + 1], zero),
                            select(load(colors[2]) > 0.0f, t[kRowColor + 2], zero)};
      const Vec3 through_view = sh_backward(in, camera, g.mean, d_color, first, valid, out.sh);
      d.mean = d.mean + through_view;
      if (kCamera) d_camera.center = d_camera.center - through_view;
    } else if (out.colors != nullptr) {
      const f32 fields[3] = {t[kRowColor], t[kRowColor + 1], t[kRowColor + 2]};
      store_structs<3>(out.colors + 3 * first, valid, fields);
    }
    d.mean = only(seen, d.mean);
    d.scale = only(seen, d.scale);
    if (out.means != nullptr) {
      const f32 fields[3] = {d.mean.x, d.mean.y, d.mean.z};
      store_structs<3>(out.means + 3 * first, valid, fields);
    }
    if (out.quaternions != nullptr) {
      const f32 fields[4] = {select(seen, d.quaternion.w, zero), select(seen, d.quaternion.x, zero),
                             select(seen, d.quaternion.y, zero), select(seen, d.quaternion.z, zero)};
      store_structs<4>(out.quaternions + 4 * first, valid, fields);
    }
    if (out.scales != nullptr) {
      const f32 fields[3] = {d.scale.x, d.scale.y, d.scale.z};
      store_structs<3>(out.scales + 3 * first, valid, fields);
    }
    if (out.opacities != nullptr) {
      const f32 fields[1] = {select(seen, d_opacity, zero)};
      store_structs<1>(out.opacities + first, valid, fields);
    }
    if (out.screen_offsets != nullptr) {
      const f32 fields[2] = {out.absolute ? t[kRowAbsoluteX] : select(seen, m.u, zero),
                             out.absolute ? t[kRowAbsoluteY] : select(seen, m.v, zero)};
      store_structs<2>(out.screen_offsets + 2 * first, valid, fields);
    }
  }
  if (kCamera) {
    float* sums = state.chunk_sums.data() + index * kCameraFloats;
    int k = 0;
    for (const f32& value : d_camera.rotation) sums[k++] = sum(value);
    for (const f32& value : d_camera.translation) sums[k++] = sum(value);
    for (const f32& value : {d_camera.fx, d_camera.fy, d_camera.cx, d_camera.cy, d_camera.center.x, d_camera.center.y,
                             d_camera.center.z})
      sums[k++] = sum(value);
  }
}

void finish_camera(const math::Camera<float>& camera, int64_t chunks, const RasterizeGradients& out,
                   const RasterizeState& state) {
  double totals[kCameraFloats] = {};
  for (int64_t chunk = 0; chunk < chunks; ++chunk)
    for (int k = 0; k < kCameraFloats; ++k) totals[k] += state.chunk_sums[chunk * kCameraFloats + k];
  math::CameraGradient<double> d = {};
  std::copy_n(totals, 9, d.rotation);
  std::copy_n(totals + 9, 3, d.translation);
  d.center = {totals[16], totals[17], totals[18]};
  math::center_adjoint(camera, d);
  if (out.world_to_camera != nullptr) {
    for (int i = 0; i < 3; ++i) {
      for (int j = 0; j < 3; ++j) out.world_to_camera[4 * i + j] = static_cast<float>(d.rotation[3 * i + j]);
      out.world_to_camera[4 * i + 3] = static_cast<float>(d.translation[i]);
    }
    std::fill(out.world_to_camera + 12, out.world_to_camera + 16, 0.0f);
  }
  if (out.intrinsics != nullptr)
    for (int k = 0; k < 4; ++k) out.intrinsics[k] = static_cast<float>(totals[12 + k]);
}

}  // namespace

void project_backward(const RasterizeInputs& in, const RasterizeUpstream& upstream, const RasterizeGradients& gradients,
                      RasterizeState& state) {
  const math::Camera<float> camera = math::make_camera(in.world_to_camera, in.intrinsics, in.width, in.height);
  const int64_t chunks = (in.count + kChunk - 1) / kChunk;
  const bool with_camera = gradients.world_to_camera != nullptr || gradients.intrinsics != nullptr;
  state.chunk_sums.reserve(chunks * kCameraFloats);
  parallel_chunks(chunks, [&](int64_t chunk) {
    if (with_camera && upstream.normal != nullptr)
      finish_chunk<true, true>(in, upstream, gradients, camera, state, chunk);
    else if (with_camera)
      finish_chunk<true, false>(in, upstream, gradients, camera, state, chunk);
    else if (upstream.normal != nullptr)
      finish_chunk<false, true>(in, upstream, gradients, camera, state, chunk);
    else
      finish_chunk<false, false>(in, upstream, gradients, camera, state, chunk);
  });
  if (with_camera) finish_camera(camera, chunks, gradients, state);
}

}  // namespace recon::RECON_ISA
