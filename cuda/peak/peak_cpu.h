// Measures the machine's arithmetic peak, the yardstick of the benchmarks.
#pragma once

#include "cpu/dispatch.h"

RECON_CPU_KERNELS(
  // Runs independent multiply-add chains in registers; returns the flops done (two per lane and step), and in *sink a
  // number that keeps the work from being optimised away.
  double run_fma_chains(float* sink);
)
