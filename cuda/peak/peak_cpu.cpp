#include "peak/peak_cpu.h"

#include "cpu/pack_math.h"

namespace recon::RECON_ISA {

double run_fma_chains(float* sink) {
  constexpr int kChains = 12;  // more than latency times issue width, fewer than the registers
  constexpr int kSteps = 1 << 16;
  f32 chain[kChains];
  for (int k = 0; k < kChains; ++k) chain[k] = splat(0.1f * k);
  const f32 factor = splat(0.999f), term = splat(0.001f);
  for (int step = 0; step < kSteps; ++step)
    for (int k = 0; k < kChains; ++k) chain[k] = fma(chain[k], factor, term);
  f32 total = splat(0.0f);
  for (const f32& value : chain) total += value;
  *sink = sum(total);
  return 2.0 * kLanes * kChains * kSteps;
}

}  // namespace recon::RECON_ISA
