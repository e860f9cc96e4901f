// The arguments of plane sweep, semi-global matching and PatchMatch, the same for both back ends. Shapes are checked by
// recon.ops.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>

#include "sweep/patchmatch_cpu.h"
#include "sweep/plane_sweep_cpu.h"
#include "sweep/semi_global_cpu.h"

namespace recon {

// `Place` is where the arrays are: nanobind::device::cpu or ::cuda.
template <class Place>
struct SweepArguments {
  template <class T>
  using Array = nanobind::ndarray<T, nanobind::c_contig, Place>;

  static PlaneSweep plane_sweep(Array<const int32_t> reference, Array<const int32_t> sources,
                                Array<const int32_t> source_sizes, Array<const float> projections,
                                Array<const float> inverse_depths, std::optional<Array<const float>> source_depths,
                                float lowest_weight, Array<uint8_t> volume) {
    PlaneSweep sweep{};
    set_pictures(sweep, reference, sources, source_sizes, projections, inverse_depths);
    sweep.planes = static_cast<int64_t>(inverse_depths.shape(0));
    sweep.source_depths = source_depths ? source_depths->data() : nullptr;
    sweep.lowest_weight = lowest_weight;
    sweep.volume = volume.data();
    return sweep;
  }

  static SemiGlobal semi_global_matching(Array<const uint8_t> volume, Array<const uint8_t> gray, int32_t small_penalty,
                                         Array<const int32_t> large_penalties, Array<float> index, Array<float> best,
                                         Array<float> runner_up) {
    SemiGlobal matching{};
    matching.volume = volume.data();
    matching.gray = gray.data();
    matching.height = static_cast<int64_t>(volume.shape(0));
    matching.width = static_cast<int64_t>(volume.shape(1));
    matching.planes = static_cast<int64_t>(volume.shape(2));
    matching.small_penalty = small_penalty;
    matching.large_penalties = large_penalties.data();
    matching.index = index.data();
    matching.best = best.data();
    matching.runner_up = runner_up.data();
    return matching;
  }

  static PatchMatch refine_planes(Array<const int32_t> reference, Array<const int32_t> sources,
                                  Array<const int32_t> source_sizes, Array<const float> projections,
                                  Array<const float> inverse_depths, float focal, int32_t sweeps, float depth_step,
                                  float holding, Array<float> planes, Array<float> costs) {
    PatchMatch match{};
    set_pictures(match, reference, sources, source_sizes, projections, inverse_depths);
    match.focal = focal;
    match.sweeps = sweeps;
    match.depth_step = depth_step;
    match.holding = holding;
    match.planes = planes.data();
    match.costs = costs.data();
    return match;
  }

 private:
  template <class Op>
  static void set_pictures(Op& op, const Array<const int32_t>& reference, const Array<const int32_t>& sources,
                           const Array<const int32_t>& source_sizes, const Array<const float>& projections,
                           const Array<const float>& inverse_depths) {
    op.reference = reference.data();
    op.height = static_cast<int64_t>(reference.shape(0));
    op.width = static_cast<int64_t>(reference.shape(1));
    op.sources = sources.data();
    op.source_sizes = source_sizes.data();
    op.source_count = static_cast<int64_t>(sources.shape(0));
    op.source_height = static_cast<int64_t>(sources.shape(1));
    op.source_width = static_cast<int64_t>(sources.shape(2));
    op.projections = projections.data();
    op.inverse_depths = inverse_depths.data();
  }
};

}  // namespace recon
