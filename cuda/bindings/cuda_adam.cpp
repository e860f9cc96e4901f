#include <nanobind/stl/variant.h>

#include "adam/adam_cuda.h"
#include "bindings/cuda_arguments.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace recon::device {
namespace {

using Number = std::variant<nb::ndarray<const float, nb::ndim<0>, Place>, float>;

Scalar scalar(const Number& number) {
  if (const float* value = std::get_if<float>(&number)) return {nullptr, *value};
  return {std::get<0>(number).data(), 0.0f};
}

void step(Array<float, nb::ndim<2>> parameter, Array<const float, nb::ndim<2>> gradient,
          Array<float, nb::ndim<2>> first_moment, Array<float, nb::ndim<2>> second_moment,
          std::optional<Array<const uint8_t, nb::ndim<1>>> visible, Number step, Number learning_rate,
          Number rest_learning_rate, int64_t leading, double beta1, double beta2, double epsilon, std::uintptr_t stream, nb::callable) {
  adam_step(static_cast<int64_t>(parameter.shape(0)), static_cast<int64_t>(parameter.shape(1)), leading,
            AdamSettings(beta1, beta2, epsilon), scalar(learning_rate), scalar(rest_learning_rate), scalar(step), gradient.data(),
            data_or_null(visible), parameter.data(), first_moment.data(), second_moment.data(), as_stream(stream));
}

}  // namespace

void bind_adam(nb::module_& m) {
  m.def("adam_step", &step, "parameter"_a, "gradient"_a, "first_moment"_a, "second_moment"_a, "visible"_a.none(),
        "step"_a, "learning_rate"_a, "rest_learning_rate"_a, "leading"_a, "beta1"_a, "beta2"_a, "epsilon"_a, "stream"_a, "allocate"_a);
}

}  // namespace recon::device
