#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>

#include "adam/adam_cpu.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace recon {
namespace {

using Values = nb::ndarray<float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using ConstValues = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Visible = nb::ndarray<const uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

void step(Values parameter, ConstValues gradient, Values first_moment, Values second_moment,
          std::optional<Visible> visible, float step, float learning_rate, float rest_learning_rate, int64_t leading, double beta1, double beta2, double epsilon) {
  nb::gil_scoped_release release;
  const AdamSettings settings(beta1, beta2, epsilon);
  const AdamRates rates = adam_rates(settings, learning_rate, rest_learning_rate, step);
  RECON_DISPATCH(adam_step, static_cast<int64_t>(parameter.shape(0)), static_cast<int64_t>(parameter.shape(1)),
                 leading, settings, rates, gradient.data(), visible ? visible->data() : nullptr, parameter.data(), first_moment.data(),
                 second_moment.data());
}

}  // namespace

void bind_adam(nb::module_& m) {
  m.def("adam_step", &step, "parameter"_a, "gradient"_a, "first_moment"_a, "second_moment"_a, "visible"_a.none(),
        "step"_a, "learning_rate"_a, "rest_learning_rate"_a, "leading"_a, "beta1"_a, "beta2"_a, "epsilon"_a,
        "Take one Adam step in place on [rows, columns] arrays, skipping rows that are not visible.");
}

}  // namespace recon
