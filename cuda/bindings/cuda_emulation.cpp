// The switch of the emulated build; empty in the real one.
#if defined(RECON_EMULATE_CUDA)

#include <nanobind/nanobind.h>

#include "device/emulation.h"

namespace nb = nanobind;

namespace recon::device {

void bind_emulation(nb::module_& m) {
  m.def("set_descending", [](bool descending) { emulation::descending() = descending; }, nb::arg("descending"),
        "Run the threads of a block from the last to the first: a missing barrier then shows as another result.");
}

}  // namespace recon::device

#endif
