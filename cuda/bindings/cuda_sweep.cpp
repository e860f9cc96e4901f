// Plane sweep, semi-global matching and PatchMatch for recon._cuda.
#include "bindings/cuda_arguments.h"
#include "bindings/sweep_arguments.h"
#include "sweep/sweep_cuda.h"

namespace nb = nanobind;

namespace recon::device {
namespace {

// A function of the same arguments as `gather`, then stream and allocator, which runs the op that they make.
template <class Op, class... Arguments>
auto op_function(Op (*gather)(Arguments...), void (*run)(const Op&, void*, const Allocate&)) {
  return [gather, run](Arguments... arguments, std::uintptr_t stream, nb::callable allocate) {
    ScratchTensors scratch(std::move(allocate));
    run(gather(std::move(arguments)...), as_stream(stream), scratch.source());
  };
}

}  // namespace

void bind_sweep(nb::module_& m) {
  using From = SweepArguments<Place>;
  m.def("plane_sweep", op_function(&From::plane_sweep, &plane_sweep), nb::arg("reference"), nb::arg("sources"),
        nb::arg("source_sizes"), nb::arg("projections"), nb::arg("inverse_depths"), nb::arg("source_depths").none(),
        nb::arg("lowest_weight"), nb::arg("volume"), nb::arg("stream"), nb::arg("allocate"));
  m.def("semi_global_matching", op_function(&From::semi_global_matching, &semi_global_matching));
  m.def("refine_planes", op_function(&From::refine_planes, &refine_planes));
}

}  // namespace recon::device
