// Loads and conversions that GCC's vector extensions do not express: gathers, narrowing stores.
// Include only from *_cpu.cpp files.
#pragma once

#include "cpu/pack.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace recon::RECON_ISA {

typedef uint8_t u8 __attribute__((vector_size(kLanes)));

RECON_INLINE i32 gather(const int32_t* base, i32 index) {
#if defined(__AVX512F__)
  return (i32)_mm512_i32gather_epi32((__m512i)index, base, 4);
#elif defined(__AVX2__)
  return (i32)_mm256_i32gather_epi32(base, (__m256i)index, 4);
#else
  i32 v;
  for (int i = 0; i < kLanes; ++i) v[i] = base[index[i]];
  return v;
#endif
}

RECON_INLINE f32 gather(const float* base, i32 index) {
#if defined(__AVX512F__)
  return (f32)_mm512_i32gather_ps((__m512i)index, base, 4);
#elif defined(__AVX2__)
  return (f32)_mm256_i32gather_ps(base, (__m256i)index, 4);
#else
  f32 v;
  for (int i = 0; i < kLanes; ++i) v[i] = base[index[i]];
  return v;
#endif
}

RECON_INLINE i32 load(const int32_t* p) {
  i32 v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

RECON_INLINE i32 to_int(f32 x) { return __builtin_convertvector(x, i32); }
RECON_INLINE f32 to_float(i32 x) { return __builtin_convertvector(x, f32); }

// Stores the lanes as bytes; they must be in [0, 255].
RECON_INLINE void store_bytes(uint8_t* p, i32 v) {
  const u8 bytes = __builtin_convertvector(v, u8);
  std::memcpy(p, &bytes, sizeof bytes);
}

}  // namespace recon::RECON_ISA
