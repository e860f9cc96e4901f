// Lets the shared per-element math (math/*.h) run on SIMD packs.
#pragma once

#include <cmath>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "cpu/pack.h"
#include "math/host_device.h"

namespace recon::RECON_ISA {

RECON_INLINE f32 square_root(f32 v) {
#if defined(__AVX512F__)
  return (f32)_mm512_sqrt_ps((__m512)v);
#elif defined(__AVX__)
  return (f32)_mm256_sqrt_ps((__m256)v);
#elif defined(__SSE__)
  return (f32)_mm_sqrt_ps((__m128)v);
#else
  for (int i = 0; i < kLanes; ++i) v[i] = std::sqrt(v[i]);
  return v;
#endif
}

}  // namespace recon::RECON_ISA

namespace recon::math {

template <>
struct Lane<RECON_ISA::f32> {
  using Mask = RECON_ISA::i32;
  static RECON_HD RECON_ISA::f32 sqrt(RECON_ISA::f32 x) { return RECON_ISA::square_root(x); }
  static RECON_HD RECON_ISA::f32 select(RECON_ISA::i32 mask, RECON_ISA::f32 yes, RECON_ISA::f32 no) {
    return RECON_ISA::select(mask, yes, no);
  }
};

}  // namespace recon::math
