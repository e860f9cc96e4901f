// recon._core.rasterize_forward / rasterize_backward.
#include <memory>

#include "bindings/rasterize_arguments.h"
#include "rasterize/rasterize_cpu.h"

namespace nb = nanobind;

namespace recon {
namespace {

// Tile lists kept from forward to backward; the memory goes back to the pool with the handle.
struct StateHandle {
  StateHandle() : state(RasterizeStatePool::instance().take()) {}
  ~StateHandle() { RasterizeStatePool::instance().give(std::move(state)); }
  std::unique_ptr<RasterizeState> state;
};

std::unique_ptr<StateHandle> forward(const RasterizeSizes& sizes, const Addresses<11>& inputs, const Addresses<9>& outputs) {
  auto handle = std::make_unique<StateHandle>();
  nb::gil_scoped_release release;
  const RasterizeInputs in = rasterize_inputs(sizes, inputs);
  const RasterizeOutputs out = rasterize_outputs(outputs);
  RECON_DISPATCH(project_gaussians, in, out, *handle->state);
  RECON_DISPATCH(bin_splats, in, *handle->state);
  RECON_DISPATCH(blend_forward, in, out, *handle->state);
  return handle;
}

void backward(StateHandle& handle, const RasterizeSizes& sizes, const Addresses<11>& inputs, const Addresses<9>& outputs,
              const Addresses<6>& upstream, const Addresses<11>& gradients, bool absolute) {
  const RasterizeUpstream up = rasterize_upstream(upstream);
  const RasterizeGradients down = rasterize_gradients(gradients, absolute);
  nb::gil_scoped_release release;
  const RasterizeInputs in = rasterize_inputs(sizes, inputs);
  RECON_DISPATCH(blend_backward, in, rasterize_outputs(outputs), up, down, *handle.state);
  RECON_DISPATCH(project_backward, in, up, down, *handle.state);
}

}  // namespace

void bind_rasterize(nb::module_& m) {
  // A graph that is alive when the interpreter exits holds a state; that is no leak worth a message.
  nb::set_leak_warnings(false);
  nb::class_<StateHandle>(m, "RasterizeState");
  m.def("rasterize_forward", &forward, nb::arg("sizes"), nb::arg("inputs"), nb::arg("outputs"));
  m.def("rasterize_backward", &backward, nb::arg("state"), nb::arg("sizes"), nb::arg("inputs"), nb::arg("outputs"),
        nb::arg("upstream"), nb::arg("gradients"), nb::arg("absolute"));
}

}  // namespace recon
