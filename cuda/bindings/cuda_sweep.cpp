// Plane sweep, semi-global matching and PatchMatch for recon._cuda. Shapes are checked by recon.ops.
#include "bindings/cuda_arguments.h"
#include "sweep/sweep_cuda.h"

namespace nb = nanobind;

namespace recon::device {
namespace {

void sweep_planes(Array<const int32_t> reference, Array<const int32_t> sources, Array<const int32_t> source_sizes,
                 Array<const float> projections, Array<const float> inverse_depths,
                 std::optional<Array<const float>> source_depths, float lowest_weight, Array<uint8_t> volume,
                 std::uintptr_t stream, nb::callable allocate) {
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
  ScratchTensors scratch(std::move(allocate));
  recon::device::plane_sweep(sweep, as_stream(stream), scratch.source());
}

void match(Array<const uint8_t> volume, Array<const uint8_t> gray, int32_t small_penalty,
                          Array<const int32_t> large_penalties, Array<float> index, Array<float> best,
                          Array<float> runner_up, std::uintptr_t stream, nb::callable allocate) {
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
  ScratchTensors scratch(std::move(allocate));
  recon::device::semi_global_matching(matching, as_stream(stream), scratch.source());
}

void refine(Array<const int32_t> reference, Array<const int32_t> sources, Array<const int32_t> source_sizes,
                   Array<const float> projections, Array<const float> inverse_depths, float focal, int32_t sweeps,
                   float depth_step, float holding, Array<float> planes, Array<float> costs,
                   std::uintptr_t stream, nb::callable allocate) {
  PatchMatch search{};
  search.reference = reference.data();
  search.height = static_cast<int64_t>(reference.shape(0));
  search.width = static_cast<int64_t>(reference.shape(1));
  search.sources = sources.data();
  search.source_sizes = source_sizes.data();
  search.source_count = static_cast<int64_t>(sources.shape(0));
  search.source_height = static_cast<int64_t>(sources.shape(1));
  search.source_width = static_cast<int64_t>(sources.shape(2));
  search.projections = projections.data();
  search.inverse_depths = inverse_depths.data();
  search.focal = focal;
  search.sweeps = sweeps;
  search.depth_step = depth_step;
  search.holding = holding;
  search.planes = planes.data();
  search.costs = costs.data();
  ScratchTensors scratch(std::move(allocate));
  recon::device::refine_planes(search, as_stream(stream), scratch.source());
}

}  // namespace

void bind_sweep(nb::module_& m) {
  m.def("plane_sweep", &sweep_planes, nb::arg("reference"), nb::arg("sources"), nb::arg("source_sizes"),
        nb::arg("projections"), nb::arg("inverse_depths"), nb::arg("source_depths").none(), nb::arg("lowest_weight"),
        nb::arg("volume"), nb::arg("stream"), nb::arg("allocate"));
  m.def("semi_global_matching", &match);
  m.def("refine_planes", &refine);
}

}  // namespace recon::device
