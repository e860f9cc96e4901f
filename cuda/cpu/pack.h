// Packs of floats and ints that map to one SIMD register: 4, 8 or 16 lanes, by the instruction set being compiled.
//
// Built on GCC/Clang vector extensions; include only from *_cpu.cpp files. Everything lives in the namespace of the
// instruction set and is always inlined, so no wide code leaks into the baseline build.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define RECON_INLINE inline __attribute__((always_inline))

namespace recon::RECON_ISA {

#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX2__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif

typedef float f32 __attribute__((vector_size(kLanes * 4)));
typedef int32_t i32 __attribute__((vector_size(kLanes * 4)));  // also the type of a comparison: all bits set = true

// x - 0 is x for every x, so nothing is left of it; 0 + x would stay an addition, because of -0.
RECON_INLINE f32 splat(float x) { return x - f32{}; }
RECON_INLINE i32 splat(int32_t x) { return i32{} + x; }

RECON_INLINE f32 load(const float* p) {
  f32 v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
RECON_INLINE void store(float* p, f32 v) { std::memcpy(p, &v, sizeof v); }

// 0, 1, 2, ...
RECON_INLINE f32 ramp() {
  f32 v;
  for (int i = 0; i < kLanes; ++i) v[i] = static_cast<float>(i);
  return v;
}

RECON_INLINE f32 select(i32 mask, f32 yes, f32 no) { return mask ? yes : no; }
// a < b ? a : b and a > b ? a : b, b where one is not a number: one instruction, which compilers do not find.
#if defined(__AVX512F__)
RECON_INLINE f32 min(f32 a, f32 b) { return (f32)_mm512_min_ps((__m512)a, (__m512)b); }
RECON_INLINE f32 max(f32 a, f32 b) { return (f32)_mm512_max_ps((__m512)a, (__m512)b); }
#elif defined(__AVX2__)
RECON_INLINE f32 min(f32 a, f32 b) { return (f32)_mm256_min_ps((__m256)a, (__m256)b); }
RECON_INLINE f32 max(f32 a, f32 b) { return (f32)_mm256_max_ps((__m256)a, (__m256)b); }
#else
RECON_INLINE f32 min(f32 a, f32 b) { return a < b ? a : b; }
RECON_INLINE f32 max(f32 a, f32 b) { return a > b ? a : b; }
#endif
RECON_INLINE f32 abs(f32 a) { return a < 0.0f ? -a : a; }

RECON_INLINE f32 bits_to_float(i32 v) {
  f32 r;
  std::memcpy(&r, &v, sizeof r);
  return r;
}

// Sums the lanes in a fixed order (pairwise), the same on every run.
RECON_INLINE float sum(f32 v) {
  float lane[kLanes];
  store(lane, v);
  for (int width = kLanes / 2; width > 0; width /= 2)
    for (int i = 0; i < width; ++i) lane[i] += lane[i + width];
  return lane[0];
}

RECON_INLINE bool any(i32 mask) {
  int64_t words[kLanes / 2];
  std::memcpy(words, &mask, sizeof words);
  int64_t all = 0;
  for (int64_t word : words) all |= word;
  return all != 0;
}

// e^x for x in [-87, 0] and a little beyond: 2^n by the exponent bits times a degree-6 polynomial on [-ln2/2, ln2/2].
// Relative error below 3e-7.
RECON_INLINE f32 exp(f32 x) {
  x = max(x, splat(-87.0f));
  const f32 t = x * 1.44269504088896f;
  const f32 rounded = (t + 12582912.0f) - 12582912.0f;  // round to nearest by the 1.5 * 2^23 trick
  const f32 r = x - rounded * 0.693145751953125f - rounded * 1.42860677e-6f;
  f32 p = splat(1.0f / 720.0f);
  p = p * r + 1.0f / 120.0f;
  p = p * r + 1.0f / 24.0f;
  p = p * r + 1.0f / 6.0f;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  const i32 exponent = (__builtin_convertvector(rounded, i32) + 127) << 23;
  return p * bits_to_float(exponent);
}

}  // namespace recon::RECON_ISA
