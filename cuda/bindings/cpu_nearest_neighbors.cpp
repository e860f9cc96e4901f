#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include "knn/nearest_neighbors_cpu.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace recon {
namespace {

using Points = nb::ndarray<const float, nb::shape<-1, 3>, nb::c_contig, nb::device::cpu>;
using Distances = nb::ndarray<float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Indices = nb::ndarray<int64_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

void search(Points points, Distances distances, Indices indices) {
  nb::gil_scoped_release release;
  RECON_DISPATCH(nearest_neighbors, static_cast<int64_t>(points.shape(0)), points.data(),
                 static_cast<int>(distances.shape(1)), distances.data(), indices.data());
}

}  // namespace

void bind_nearest_neighbors(nb::module_& m) {
  m.def("nearest_neighbors", &search, "points"_a, "distances"_a, "indices"_a,
        "Write the distances and indices [N, k] of the k nearest other points of each of N points, nearest first.");
}

}  // namespace recon
