// recon._core.rasterize_forward / rasterize_backward. Tensors arrive as addresses: recon/ops/rasterize*.py has checked
// shapes, types and device, and twenty DLPack imports would cost more than the projection of a small scene.
#include <nanobind/nanobind.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/unique_ptr.h>

#include <array>
#include <memory>
#include <tuple>

#include "rasterize/rasterize_cpu.h"

namespace nb = nanobind;

namespace recon {
namespace {

using Sizes = std::tuple<int64_t, int, int, int, int, int, float, bool>;
template <size_t n>
using Addresses = std::array<uintptr_t, n>;

const float* input(uintptr_t address) { return reinterpret_cast<const float*>(address); }
float* output(uintptr_t address) { return reinterpret_cast<float*>(address); }

RasterizeInputs make_inputs(const Sizes& sizes, const Addresses<11>& a) {
  RasterizeInputs in;
  std::tie(in.count, in.width, in.height, in.sh_bases, in.sh_degree, in.feature_count, in.near_plane, in.antialiased) =
      sizes;
  in.means = input(a[0]);
  in.quaternions = input(a[1]);
  in.scales = input(a[2]);
  in.opacities = input(a[3]);
  in.sh = input(a[4]);
  in.colors = input(a[5]);
  in.features = input(a[6]);
  in.background = input(a[7]);
  in.world_to_camera = input(a[8]);
  in.intrinsics = input(a[9]);
  in.screen_offsets = input(a[10]);
  return in;
}

RasterizeOutputs make_outputs(const Addresses<9>& a) {
  return {output(a[0]), output(a[1]), output(a[2]), output(a[3]), output(a[4]),
          output(a[5]), output(a[6]), output(a[7]), output(a[8])};
}

// Tile lists kept from forward to backward; the memory goes back to the pool with the handle.
struct StateHandle {
  StateHandle() : state(RasterizeStatePool::instance().take()) {}
  ~StateHandle() { RasterizeStatePool::instance().give(std::move(state)); }
  std::unique_ptr<RasterizeState> state;
};

std::unique_ptr<StateHandle> forward(const Sizes& sizes, const Addresses<11>& inputs, const Addresses<9>& outputs) {
  auto handle = std::make_unique<StateHandle>();
  nb::gil_scoped_release release;
  const RasterizeInputs in = make_inputs(sizes, inputs);
  const RasterizeOutputs out = make_outputs(outputs);
  RECON_DISPATCH(project_gaussians, in, out, *handle->state);
  RECON_DISPATCH(bin_splats, in, *handle->state);
  RECON_DISPATCH(blend_forward, in, out, *handle->state);
  return handle;
}

void backward(StateHandle& handle, const Sizes& sizes, const Addresses<11>& inputs, const Addresses<9>& outputs,
              const Addresses<6>& upstream, const Addresses<11>& gradients, bool absolute) {
  const RasterizeUpstream up = {input(upstream[0]), input(upstream[1]), input(upstream[2]),
                                input(upstream[3]), input(upstream[4]), input(upstream[5])};
  const auto& g = gradients;
  const RasterizeGradients down = {output(g[0]), output(g[1]), output(g[2]), output(g[3]), output(g[4]),  output(g[5]),
                                   output(g[6]), output(g[7]), output(g[8]), output(g[9]), output(g[10]), absolute};
  nb::gil_scoped_release release;
  const RasterizeInputs in = make_inputs(sizes, inputs);
  RECON_DISPATCH(blend_backward, in, make_outputs(outputs), up, down, *handle.state);
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
