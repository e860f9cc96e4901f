// How both back ends' rasterizers are called from Python: sizes in one tuple, tensors as addresses in arrays.
// recon/ops/rasterize*.py has checked shapes, types and device, and twenty DLPack imports would cost more than the
// projection of a small scene.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/unique_ptr.h>

#include <array>
#include <cstdint>
#include <tuple>

#include "rasterize/rasterize.h"

namespace recon {

using RasterizeSizes = std::tuple<int64_t, int, int, int, int, int, float, bool>;
template <size_t n>
using Addresses = std::array<uintptr_t, n>;

inline const float* read_from(uintptr_t address) { return reinterpret_cast<const float*>(address); }
inline float* write_to(uintptr_t address) { return reinterpret_cast<float*>(address); }

inline RasterizeInputs rasterize_inputs(const RasterizeSizes& sizes, const Addresses<11>& a) {
  RasterizeInputs in;
  std::tie(in.count, in.width, in.height, in.sh_bases, in.sh_degree, in.feature_count, in.near_plane, in.antialiased) =
      sizes;
  in.means = read_from(a[0]);
  in.quaternions = read_from(a[1]);
  in.scales = read_from(a[2]);
  in.opacities = read_from(a[3]);
  in.sh = read_from(a[4]);
  in.colors = read_from(a[5]);
  in.features = read_from(a[6]);
  in.background = read_from(a[7]);
  in.world_to_camera = read_from(a[8]);
  in.intrinsics = read_from(a[9]);
  in.screen_offsets = read_from(a[10]);
  return in;
}

inline RasterizeOutputs rasterize_outputs(const Addresses<9>& a) {
  return {write_to(a[0]), write_to(a[1]), write_to(a[2]), write_to(a[3]), write_to(a[4]),
          write_to(a[5]), write_to(a[6]), write_to(a[7]), write_to(a[8])};
}

inline RasterizeUpstream rasterize_upstream(const Addresses<6>& a) {
  return {read_from(a[0]), read_from(a[1]), read_from(a[2]), read_from(a[3]), read_from(a[4]), read_from(a[5])};
}

inline RasterizeGradients rasterize_gradients(const Addresses<11>& a, bool absolute) {
  return {write_to(a[0]), write_to(a[1]), write_to(a[2]), write_to(a[3]), write_to(a[4]),  write_to(a[5]),
          write_to(a[6]), write_to(a[7]), write_to(a[8]), write_to(a[9]), write_to(a[10]), absolute};
}

}  // namespace recon
