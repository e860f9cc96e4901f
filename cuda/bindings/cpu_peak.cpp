// recon._core.fma_flops_per_second: for benchmarks.
#include <nanobind/nanobind.h>

#include <chrono>
#include <vector>

#include "cpu/threads.h"
#include "peak/peak_cpu.h"

namespace nb = nanobind;

namespace recon {
namespace {

// On the kernels' own threads: threads made for the purpose begin on the maker's core, and a few milliseconds pass
// before they are moved off it.
double fma_flops_per_second() {
  nb::gil_scoped_release release;
  const int chunks = 16 * thread_count();
  std::vector<double> flops(chunks);
  std::vector<float> sinks(chunks);
  const auto start = std::chrono::steady_clock::now();
  parallel_chunks(chunks, [&](int64_t i) { flops[i] = RECON_DISPATCH(run_fma_chains, &sinks[i]); });
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  double total = 0.0;
  for (double each : flops) total += each;
  return total / seconds.count();
}

}  // namespace

void bind_peak(nb::module_& m) { m.def("fma_flops_per_second", &fma_flops_per_second); }

}  // namespace recon
