// Plane sweep, semi-global matching and PatchMatch for recon._core. Shapes are checked by recon.ops.
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/ndarray.h>

#include "sweep/patchmatch_cpu.h"
#include "sweep/plane_sweep_cpu.h"
#include "sweep/semi_global_cpu.h"

namespace nb = nanobind;

namespace recon {
namespace {

template <class T>
using Array = nb::ndarray<T, nb::c_contig, nb::device::cpu>;

void plane_sweep(Array<const int32_t> reference, Array<const int32_t> sources, Array<const int32_t> source_sizes,
                 Array<const float> projections, Array<const float> inverse_depths,
                 std::optional<Array<const float>> source_depths, float lowest_weight, Array<uint8_t> volume) {
  PlaneSweep sweep{};
  sweep.reference = reference.data();
  sweep.height = static_cast<int64_t>(reference.shape(0));
  sweep.width = static_cast<int64_t>(reference.shape(1));
  sweep.sources = sources.data();
  sweep.source_sizes = source_sizes.data();
  sweep.source_count = static_cast<int64_t>(sources.shape(0));
  sweep.source_height = static_cast<int64_t>(sources.shape(1));
  sweep.source_width = static_cast<int64_t>(sources.shape(2));
  sweep.projections = projections.data();
  sweep.inverse_depths = inverse_depths.data();
  sweep.planes = static_cast<int64_t>(inverse_depths.shape(0));
  sweep.source_depths = source_depths ? source_depths->data() : nullptr;
  sweep.lowest_weight = lowest_weight;
  sweep.volume = volume.data();
  nb::gil_scoped_release release;
  RECON_DISPATCH(plane_sweep, sweep);
}

void semi_global_matching(Array<const uint8_t> volume, Array<const uint8_t> gray, int32_t small_penalty,
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
  nb::gil_scoped_release release;
  RECON_DISPATCH(semi_global_matching, matching);
}

void refine_planes(Array<const int32_t> reference, Array<const int32_t> sources, Array<const int32_t> source_sizes,
                   Array<const float> projections, Array<const float> inverse_depths, float focal, int32_t sweeps,
                   float depth_step, float holding, Array<float> planes, Array<float> costs) {
  PatchMatch match{};
  match.reference = reference.data();
  match.height = static_cast<int64_t>(reference.shape(0));
  match.width = static_cast<int64_t>(reference.shape(1));
  match.sources = sources.data();
  match.source_sizes = source_sizes.data();
  match.source_count = static_cast<int64_t>(sources.shape(0));
  match.source_height = static_cast<int64_t>(sources.shape(1));
  match.source_width = static_cast<int64_t>(sources.shape(2));
  match.projections = projections.data();
  match.inverse_depths = inverse_depths.data();
  match.focal = focal;
  match.sweeps = sweeps;
  match.depth_step = depth_step;
  match.holding = holding;
  match.planes = planes.data();
  match.costs = costs.data();
  nb::gil_scoped_release release;
  RECON_DISPATCH(refine_planes, match);
}

}  // namespace

void bind_sweep(nb::module_& m) {
  m.def("plane_sweep", &plane_sweep, nb::arg("reference"), nb::arg("sources"), nb::arg("source_sizes"),
        nb::arg("projections"), nb::arg("inverse_depths"), nb::arg("source_depths").none(), nb::arg("lowest_weight"),
        nb::arg("volume"));
  m.def("semi_global_matching", &semi_global_matching);
  m.def("refine_planes", &refine_planes);
}

}  // namespace recon
