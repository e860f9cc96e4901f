#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>

#include "ssim/l1_ssim_cpu.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace recon {
namespace {

using Picture = nb::ndarray<const float, nb::ndim<3>, nb::c_contig, nb::device::cpu>;
using Mask = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Partials = nb::ndarray<float, nb::ndim<4>, nb::c_contig, nb::device::cpu>;
using ConstPartials = nb::ndarray<const float, nb::ndim<4>, nb::c_contig, nb::device::cpu>;
using Gradient = nb::ndarray<float, nb::ndim<3>, nb::c_contig, nb::device::cpu>;
using Results = nb::ndarray<float, nb::shape<3>, nb::c_contig, nb::device::cpu>;
using ConstResults = nb::ndarray<const float, nb::shape<3>, nb::c_contig, nb::device::cpu>;
using Scalar = nb::ndarray<const float, nb::ndim<0>, nb::device::cpu>;

L1SsimShape shape_of(const Picture& image) {
  return {static_cast<int64_t>(image.shape(0)), static_cast<int64_t>(image.shape(1)),
          static_cast<int64_t>(image.shape(2))};
}

void forward(Picture image, Picture target, std::optional<Mask> mask, std::optional<Partials> partials,
             Results results) {
  nb::gil_scoped_release release;
  RECON_DISPATCH(l1_ssim_forward, shape_of(image), image.data(), target.data(), mask ? mask->data() : nullptr,
                 partials ? partials->data() : nullptr, results.data());
}

void backward(Picture image, Picture target, std::optional<Mask> mask, ConstPartials partials, ConstResults results,
              Scalar d_l1, Scalar d_ssim, Gradient gradient) {
  nb::gil_scoped_release release;
  RECON_DISPATCH(l1_ssim_backward, shape_of(image), image.data(), target.data(), mask ? mask->data() : nullptr,
                 partials.data(), results.data()[2], *d_l1.data(), *d_ssim.data(), gradient.data());
}

}  // namespace

void bind_l1_ssim(nb::module_& m) {
  m.def("l1_ssim_forward", &forward, "image"_a, "target"_a, "mask"_a.none(), "partials"_a.none(), "results"_a,
        "Write the mean |image - target|, the mean similarity and 1 / sum of weights to `results`.");
  m.def("l1_ssim_backward", &backward, "image"_a, "target"_a, "mask"_a.none(), "partials"_a, "results"_a, "d_l1"_a,
        "d_ssim"_a, "gradient"_a, "Write the gradient of d_l1 * mean |image - target| + d_ssim * mean similarity.");
}

}  // namespace recon
