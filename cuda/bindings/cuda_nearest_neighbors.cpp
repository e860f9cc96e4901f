#include "bindings/cuda_arguments.h"
#include "knn/nearest_neighbors_cuda.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace recon::device {
namespace {

void search(Array<const float, nb::shape<-1, 3>> points, Array<float, nb::ndim<2>> distances,
            Array<int64_t, nb::ndim<2>> indices, std::uintptr_t stream, nb::callable allocate) {
  ScratchTensors scratch(std::move(allocate));
  nearest_neighbors(static_cast<int64_t>(points.shape(0)), points.data(), static_cast<int>(distances.shape(1)),
                    distances.data(), indices.data(), as_stream(stream), scratch.source());
}

}  // namespace

void bind_nearest_neighbors(nb::module_& m) {
  m.def("nearest_neighbors", &search, "points"_a, "distances"_a, "indices"_a, "stream"_a, "allocate"_a);
}

}  // namespace recon::device
