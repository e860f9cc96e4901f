// rasterize_forward / rasterize_backward of recon._cuda: the same addresses as recon._core's (see cpu_rasterize.cpp),
// then the room for pairs, the stream and the allocator.
#include <nanobind/stl/array.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/unique_ptr.h>

#include <memory>

#include "bindings/cuda_arguments.h"
#include "rasterize/rasterize_cuda.h"

namespace nb = nanobind;

namespace recon::device {
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

// Splats and tile lists kept from forward to backward, in tensors of the caller's allocator.
struct StateHandle {
  explicit StateHandle(nb::callable allocate) : memory(std::move(allocate)) {}

  ScratchTensors memory;
  RasterizeState state;
};

std::unique_ptr<StateHandle> forward(const Sizes& sizes, const Addresses<11>& inputs, const Addresses<9>& outputs,
                                     int64_t capacity, std::uintptr_t stream, nb::callable allocate) {
  auto handle = std::make_unique<StateHandle>(allocate);
  ScratchTensors scratch(std::move(allocate));
  handle->state = rasterize_forward(make_inputs(sizes, inputs), make_outputs(outputs), capacity, as_stream(stream),
                                    handle->memory.source(), scratch.source());
  return handle;
}

void backward(StateHandle& handle, const Sizes& sizes, const Addresses<11>& inputs, const Addresses<9>& outputs,
              const Addresses<6>& upstream, const Addresses<11>& gradients, bool absolute, std::uintptr_t stream,
              nb::callable allocate) {
  const RasterizeUpstream up = {input(upstream[0]), input(upstream[1]), input(upstream[2]),
                                input(upstream[3]), input(upstream[4]), input(upstream[5])};
  const auto& g = gradients;
  const RasterizeGradients down = {output(g[0]), output(g[1]), output(g[2]), output(g[3]), output(g[4]),  output(g[5]),
                                   output(g[6]), output(g[7]), output(g[8]), output(g[9]), output(g[10]), absolute};
  ScratchTensors scratch(std::move(allocate));
  rasterize_backward(make_inputs(sizes, inputs), make_outputs(outputs), up, down, handle.state, as_stream(stream),
                     scratch.source());
}

}  // namespace

void bind_rasterize(nb::module_& m) {
  nb::class_<StateHandle>(m, "RasterizeState")
      .def_prop_ro("capacity", [](const StateHandle& handle) { return handle.state.capacity; },
                   "Pairs of Gaussian and tile there was room for.")
      .def_prop_ro("pair_count", [](const StateHandle& handle) { return handle.memory.holder(handle.state.pair_count); },
                   "The uint8 tensor whose first four bytes are the number of pairs the picture needs.");
  m.def("rasterize_forward", &forward, nb::arg("sizes"), nb::arg("inputs"), nb::arg("outputs"), nb::arg("capacity"),
        nb::arg("stream"), nb::arg("allocate"));
  m.def("rasterize_backward", &backward, nb::arg("state"), nb::arg("sizes"), nb::arg("inputs"), nb::arg("outputs"),
        nb::arg("upstream"), nb::arg("gradients"), nb::arg("absolute"), nb::arg("stream"), nb::arg("allocate"));
}

}  // namespace recon::device
