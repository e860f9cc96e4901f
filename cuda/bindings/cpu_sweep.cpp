// Plane sweep, semi-global matching and PatchMatch for recon._core.
#include "bindings/sweep_arguments.h"

namespace nb = nanobind;

namespace recon {
namespace {

// A function of the same arguments as `gather`, which runs the op that they make.
template <class Op, class... Arguments, class Run>
auto op_function(Op (*gather)(Arguments...), Run run) {
  return [gather, run](Arguments... arguments) {
    const Op op = gather(std::move(arguments)...);
    nb::gil_scoped_release release;
    run(op);
  };
}

}  // namespace

void bind_sweep(nb::module_& m) {
  using From = SweepArguments<nb::device::cpu>;
  m.def("plane_sweep", op_function(&From::plane_sweep, [](const PlaneSweep& op) { RECON_DISPATCH(plane_sweep, op); }),
        nb::arg("reference"), nb::arg("sources"), nb::arg("source_sizes"), nb::arg("projections"),
        nb::arg("inverse_depths"), nb::arg("source_depths").none(), nb::arg("lowest_weight"), nb::arg("volume"));
  m.def("semi_global_matching", op_function(&From::semi_global_matching, [](const SemiGlobal& op) {
          RECON_DISPATCH(semi_global_matching, op);
        }));
  m.def("refine_planes",
        op_function(&From::refine_planes, [](const PatchMatch& op) { RECON_DISPATCH(refine_planes, op); }));
}

}  // namespace recon
