#include "bindings/cuda_arguments.h"
#include "ssim/l1_ssim_cuda.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace recon::device {
namespace {

using Picture = Array<const float, nb::ndim<3>>;
using Mask = Array<const float, nb::ndim<2>>;
using Scalar = nb::ndarray<const float, nb::ndim<0>, Place>;

L1SsimShape shape_of(const Picture& image) {
  return {static_cast<int>(image.shape(0)), static_cast<int>(image.shape(1)), static_cast<int>(image.shape(2))};
}

void forward(Picture image, Picture target, std::optional<Mask> mask, std::optional<Array<float, nb::ndim<4>>> partials,
             Array<float, nb::shape<3>> results, std::uintptr_t stream, nb::callable allocate) {
  ScratchTensors scratch(std::move(allocate));
  l1_ssim_forward(shape_of(image), image.data(), target.data(), data_or_null(mask), data_or_null(partials),
                  results.data(), as_stream(stream), scratch.source());
}

void backward(Picture image, Picture target, std::optional<Mask> mask, Array<const float, nb::ndim<4>> partials,
              Array<const float, nb::shape<3>> results, Scalar d_l1, Scalar d_ssim, Array<float, nb::ndim<3>> gradient,
              std::uintptr_t stream, nb::callable) {
  l1_ssim_backward(shape_of(image), image.data(), target.data(), data_or_null(mask), partials.data(), results.data(),
                   d_l1.data(), d_ssim.data(), gradient.data(), as_stream(stream));
}

}  // namespace

void bind_l1_ssim(nb::module_& m) {
  m.def("l1_ssim_forward", &forward, "image"_a, "target"_a, "mask"_a.none(), "partials"_a.none(), "results"_a,
        "stream"_a, "allocate"_a);
  m.def("l1_ssim_backward", &backward, "image"_a, "target"_a, "mask"_a.none(), "partials"_a, "results"_a, "d_l1"_a,
        "d_ssim"_a, "gradient"_a, "stream"_a, "allocate"_a);
}

}  // namespace recon::device
