// The extension module recon._cuda: one line per op's binding file.
#include <nanobind/nanobind.h>

namespace nb = nanobind;

namespace recon::device {
void bind_adam(nb::module_& m);
void bind_l1_ssim(nb::module_& m);
void bind_nearest_neighbors(nb::module_& m);
void bind_rasterize(nb::module_& m);
void bind_sweep(nb::module_& m);
#if defined(RECON_EMULATE_CUDA)
void bind_emulation(nb::module_& m);
#endif
}  // namespace recon::device

#if defined(RECON_EMULATE_CUDA)
NB_MODULE(_cuda_emulated, m) {
  m.doc() = "The CUDA kernels of recon run by the CPU, thread by thread, for tests.";
  recon::device::bind_emulation(m);
#else
NB_MODULE(_cuda, m) {
  m.doc() = "CUDA kernels of recon. Call them through recon.ops, which checks shapes.";
#endif
  // Renders that are alive when Python exits hold their state; that is no leak worth a message.
  nb::set_leak_warnings(false);
  recon::device::bind_adam(m);
  recon::device::bind_l1_ssim(m);
  recon::device::bind_nearest_neighbors(m);
  recon::device::bind_rasterize(m);
  recon::device::bind_sweep(m);
}
