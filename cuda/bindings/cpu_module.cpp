// The extension module recon._core: one line per op's binding file.
#include <nanobind/nanobind.h>

#include "cpu/dispatch.h"
#include "cpu/threads.h"

namespace nb = nanobind;

namespace recon {
void bind_adam(nb::module_& m);
void bind_l1_ssim(nb::module_& m);
void bind_nearest_neighbors(nb::module_& m);
void bind_peak(nb::module_& m);
void bind_rasterize(nb::module_& m);
void bind_stream(nb::module_& m);
void bind_sweep(nb::module_& m);
}  // namespace recon

NB_MODULE(_core, m) {
  m.doc() = "CPU kernels of recon. Call them through recon.ops, which checks shapes.";
  m.def("thread_count", &recon::thread_count);
  m.def("set_thread_count", &recon::set_thread_count, nb::arg("count"));
  m.def("instruction_set", [] { return recon::isa_name(recon::active_isa()); });
  m.def("set_instruction_set", &recon::set_active_isa, nb::arg("name"));
  recon::bind_adam(m);
  recon::bind_l1_ssim(m);
  recon::bind_nearest_neighbors(m);
  recon::bind_peak(m);
  recon::bind_rasterize(m);
  recon::bind_stream(m);
  recon::bind_sweep(m);
}
