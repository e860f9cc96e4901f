// rasterize_forward / rasterize_backward of recon._cuda: the arguments of bindings/rasterize_arguments.h, then the room
// for pairs, the stream and the allocator.
#include <memory>

#include "bindings/cuda_arguments.h"
#include "bindings/rasterize_arguments.h"
#include "rasterize/rasterize_cuda.h"

namespace nb = nanobind;

namespace recon::device {
namespace {

// Splats and tile lists kept from forward to backward, in tensors of the caller's allocator.
struct StateHandle {
  explicit StateHandle(nb::callable allocate) : memory(std::move(allocate)) {}

  ScratchTensors memory;
  RasterizeState state;
};

std::unique_ptr<StateHandle> forward(const RasterizeSizes& sizes, const Addresses<11>& inputs, const Addresses<9>& outputs,
                                     int64_t capacity, std::uintptr_t stream, nb::callable allocate) {
  auto handle = std::make_unique<StateHandle>(allocate);
  ScratchTensors scratch(std::move(allocate));
  handle->state = rasterize_forward(rasterize_inputs(sizes, inputs), rasterize_outputs(outputs), capacity, as_stream(stream),
                                    handle->memory.source(), scratch.source());
  return handle;
}

void backward(StateHandle& handle, const RasterizeSizes& sizes, const Addresses<11>& inputs, const Addresses<9>& outputs,
              const Addresses<6>& upstream, const Addresses<11>& gradients, bool absolute, std::uintptr_t stream,
              nb::callable allocate) {
  const RasterizeUpstream up = rasterize_upstream(upstream);
  const RasterizeGradients down = rasterize_gradients(gradients, absolute);
  ScratchTensors scratch(std::move(allocate));
  rasterize_backward(rasterize_inputs(sizes, inputs), rasterize_outputs(outputs), up, down, handle.state, as_stream(stream),
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
