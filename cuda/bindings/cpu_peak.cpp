// recon._core.fma_flops_per_second: for benchmarks.
#include <nanobind/nanobind.h>

#include <chrono>
#include <thread>
#include <vector>

#include "peak/peak_cpu.h"

namespace nb = nanobind;

namespace recon {
namespace {

double fma_flops_per_second(int threads) {
  nb::gil_scoped_release release;
  std::vector<double> flops(threads);
  std::vector<float> sinks(threads);
  const auto start = std::chrono::steady_clock::now();
  std::vector<std::thread> workers;
  for (int i = 1; i < threads; ++i)
    workers.emplace_back([&, i] { flops[i] = RECON_DISPATCH(run_fma_chains, &sinks[i]); });
  flops[0] = RECON_DISPATCH(run_fma_chains, &sinks[0]);
  for (auto& worker : workers) worker.join();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  double total = 0.0;
  for (double each : flops) total += each;
  return total / seconds.count();
}

}  // namespace

void bind_peak(nb::module_& m) { m.def("fma_flops_per_second", &fma_flops_per_second, nb::arg("threads")); }

}  // namespace recon
