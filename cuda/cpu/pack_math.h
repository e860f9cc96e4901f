// What kernels need beyond pack.h: fused multiply-add, lane masks, 2^x, transposes, rows of small structs; and the hook
// that lets the shared per-element math (math/*.h) run on packs.
//
// fma and exp2 are spelled out so that a forward and a backward pass that repeat a computation get the same bits.
#pragma once

#include <cmath>

#include "cpu/pack.h"
#include "math/host_device.h"

namespace recon::RECON_ISA {

// The result of a comparison: a mask register where the instruction set has them.
#if defined(__AVX512F__)
typedef __mmask16 mask;
RECON_INLINE mask at_least(f32 a, f32 b) { return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_GE_OQ); }
RECON_INLINE mask at_most(f32 a, f32 b) { return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_LE_OQ); }
RECON_INLINE f32 keep(mask m, f32 v) { return (f32)_mm512_maskz_mov_ps(m, (__m512)v); }
RECON_INLINE bool some(mask m) { return m != 0; }
RECON_INLINE mask from_lanes(i32 m) { return _mm512_movepi32_mask((__m512i)m); }
#else
typedef i32 mask;
RECON_INLINE mask at_least(f32 a, f32 b) { return a >= b; }
RECON_INLINE mask at_most(f32 a, f32 b) { return a <= b; }
RECON_INLINE f32 keep(mask m, f32 v) {
  i32 bits;
  std::memcpy(&bits, &v, sizeof bits);
  return bits_to_float(bits & m);
}
#if defined(__AVX2__)
RECON_INLINE bool some(mask m) { return _mm256_movemask_ps((__m256)m) != 0; }
#elif defined(__SSE2__)
RECON_INLINE bool some(mask m) { return _mm_movemask_ps((__m128)m) != 0; }
#else
RECON_INLINE bool some(mask m) { return any(m); }
#endif
RECON_INLINE mask from_lanes(i32 m) { return m; }
#endif

// a b + c and c - a b.
RECON_INLINE f32 fma(f32 a, f32 b, f32 c) {
#if defined(__AVX512F__)
  return (f32)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__FMA__)
  return (f32)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
  return a * b + c;
#endif
}
RECON_INLINE f32 fnma(f32 a, f32 b, f32 c) {
#if defined(__AVX512F__)
  return (f32)_mm512_fnmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__FMA__)
  return (f32)_mm256_fnmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
  return c - a * b;
#endif
}

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

// 1 / v to about one unit in the last place, for v in the normal range.
RECON_INLINE f32 reciprocal(f32 v) {
#if defined(__AVX512F__)
  const f32 r = (f32)_mm512_rcp14_ps((__m512)v);
  return fma(r, fnma(v, r, splat(1.0f)), r);
#else
  return 1.0f / v;
#endif
}

// 2^x for x <= 1; 0 below -126. Degree-5 polynomial on [-1/2, 1/2] (least maximum error, fitted by reweighted least
// squares: 7.5e-8 relative) times the exponent.
RECON_INLINE f32 exp2(f32 x) {
#if defined(__AVX512F__)
  const f32 whole = (f32)_mm512_roundscale_ps((__m512)x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#else
  x = max(x, splat(-127.0f));
  const f32 whole = (x + 12582912.0f) - 12582912.0f;  // round to nearest by the 1.5 * 2^23 trick
#endif
  const f32 r = x - whole;
  f32 p = splat(0.0013276471377327f);
  p = fma(p, r, splat(0.0096755415400541f));
  p = fma(p, r, splat(0.0555071327609310f));
  p = fma(p, r, splat(0.2402211972007520f));
  p = fma(p, r, splat(0.6931469670620424f));
  p = fma(p, r, splat(1.0000000716554314f));
#if defined(__AVX512F__)
  return (f32)_mm512_scalef_ps((__m512)p, (__m512)whole);
#else
  return p * bits_to_float((__builtin_convertvector(whole, i32) + 127) << 23);
#endif
}

// rows[i][j] <-> rows[j][i].
RECON_INLINE void transpose(f32* rows) {
#if defined(__AVX512F__)
  __m512 a[16], b[16];
  for (int i = 0; i < 8; ++i) {
    a[2 * i] = _mm512_unpacklo_ps((__m512)rows[2 * i], (__m512)rows[2 * i + 1]);
    a[2 * i + 1] = _mm512_unpackhi_ps((__m512)rows[2 * i], (__m512)rows[2 * i + 1]);
  }
  for (int i = 0; i < 16; i += 4)
    for (int half = 0; half < 2; ++half) {
      const __m512d low = _mm512_castps_pd(a[i + half]), high = _mm512_castps_pd(a[i + 2 + half]);
      b[i + 2 * half] = _mm512_castpd_ps(_mm512_unpacklo_pd(low, high));
      b[i + 2 * half + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low, high));
    }
  for (int j = 0; j < 4; ++j) {
    const __m512 even0 = _mm512_shuffle_f32x4(b[j], b[4 + j], 0x88), odd0 = _mm512_shuffle_f32x4(b[j], b[4 + j], 0xdd);
    const __m512 even1 = _mm512_shuffle_f32x4(b[8 + j], b[12 + j], 0x88);
    const __m512 odd1 = _mm512_shuffle_f32x4(b[8 + j], b[12 + j], 0xdd);
    rows[j] = (f32)_mm512_shuffle_f32x4(even0, even1, 0x88);
    rows[4 + j] = (f32)_mm512_shuffle_f32x4(odd0, odd1, 0x88);
    rows[8 + j] = (f32)_mm512_shuffle_f32x4(even0, even1, 0xdd);
    rows[12 + j] = (f32)_mm512_shuffle_f32x4(odd0, odd1, 0xdd);
  }
#elif defined(__AVX2__)
  __m256 a[8], b[8];
  for (int i = 0; i < 4; ++i) {
    a[2 * i] = _mm256_unpacklo_ps((__m256)rows[2 * i], (__m256)rows[2 * i + 1]);
    a[2 * i + 1] = _mm256_unpackhi_ps((__m256)rows[2 * i], (__m256)rows[2 * i + 1]);
  }
  for (int i = 0; i < 8; i += 4)
    for (int half = 0; half < 2; ++half) {
      b[i + 2 * half] = _mm256_shuffle_ps(a[i + half], a[i + 2 + half], 0x44);
      b[i + 2 * half + 1] = _mm256_shuffle_ps(a[i + half], a[i + 2 + half], 0xee);
    }
  for (int j = 0; j < 4; ++j) {
    rows[j] = (f32)_mm256_permute2f128_ps(b[j], b[4 + j], 0x20);
    rows[4 + j] = (f32)_mm256_permute2f128_ps(b[j], b[4 + j], 0x31);
  }
#elif defined(__SSE__)
  __m128 a = (__m128)rows[0], b = (__m128)rows[1], c = (__m128)rows[2], d = (__m128)rows[3];
  _MM_TRANSPOSE4_PS(a, b, c, d);
  rows[0] = (f32)a, rows[1] = (f32)b, rows[2] = (f32)c, rows[3] = (f32)d;
#else
  for (int i = 0; i < kLanes; ++i)
    for (int j = i + 1; j < kLanes; ++j) {
      const float upper = rows[i][j];
      rows[i][j] = rows[j][i];
      rows[j][i] = upper;
    }
#endif
}

#if defined(__AVX512F__)
// A permutation of 16 lanes out of 32: lane i comes from source[i], 0-15 of the first pack, 16-31 of the second.
struct Permutation {
  alignas(64) int32_t source[16];
};

// Lane i of field k is number 3 i + k of 48: first out of registers 0 and 1, then with register 2.
constexpr Permutation split3(int k, bool second) {
  Permutation p = {};
  for (int i = 0; i < 16; ++i) {
    const int at = 3 * i + k;
    p.source[i] = second ? (at < 32 ? i : at - 16) : (at < 32 ? at : 0);
  }
  return p;
}
// The reverse: number 16 k + i of 48 comes from field (16 k + i) % 3: first out of fields 0 and 1, then with field 2.
constexpr Permutation join3(int k, bool second) {
  Permutation p = {};
  for (int i = 0; i < 16; ++i) {
    const int at = 16 * k + i, field = at % 3, lane = at / 3;
    p.source[i] = second ? (field < 2 ? i : 16 + lane) : (field < 2 ? 16 * field + lane : 0);
  }
  return p;
}
RECON_INLINE f32 permute(f32 a, const Permutation& p, f32 b) {
  return (f32)_mm512_permutex2var_ps((__m512)a, _mm512_load_si512(p.source), (__m512)b);
}

RECON_INLINE void deinterleave3(f32 a, f32 b, f32 c, f32* fields) {
  static constexpr Permutation first[3] = {split3(0, false), split3(1, false), split3(2, false)};
  static constexpr Permutation second[3] = {split3(0, true), split3(1, true), split3(2, true)};
  for (int k = 0; k < 3; ++k) fields[k] = permute(permute(a, first[k], b), second[k], c);
}
RECON_INLINE void interleave3(const f32* fields, f32* out) {
  static constexpr Permutation first[3] = {join3(0, false), join3(1, false), join3(2, false)};
  static constexpr Permutation second[3] = {join3(0, true), join3(1, true), join3(2, true)};
  for (int k = 0; k < 3; ++k) out[k] = permute(permute(fields[0], first[k], fields[1]), second[k], fields[2]);
}
#endif

// Reads kLanes consecutive structs of `width` floats, of which the first `valid` exist, into one pack per field; missing
// structs repeat the last one. And the reverse, which writes the valid ones only.
template <int width>
RECON_INLINE void load_structs(const float* from, int valid, f32* fields) {
  if (width == 1 && valid == kLanes) {
    fields[0] = load(from);
    return;
  }
#if defined(__AVX512F__)
  if (width == 3 && valid == kLanes) {
    deinterleave3(load(from), load(from + 16), load(from + 32), fields);
    return;
  }
#endif
  alignas(64) float lanes[width][kLanes];
  for (int i = 0; i < kLanes; ++i) {
    const float* one = from + width * (i < valid ? i : valid - 1);
    for (int k = 0; k < width; ++k) lanes[k][i] = one[k];
  }
  for (int k = 0; k < width; ++k) fields[k] = load(lanes[k]);
}
template <int width>
RECON_INLINE void store_structs(float* to, int valid, const f32* fields) {
  if (width == 1 && valid == kLanes) {
    store(to, fields[0]);
    return;
  }
#if defined(__AVX512F__)
  if (width == 3 && valid == kLanes) {
    f32 rows[3];
    interleave3(fields, rows);
    for (int k = 0; k < 3; ++k) store(to + 16 * k, rows[k]);
    return;
  }
#endif
  alignas(64) float lanes[width][kLanes];
  for (int k = 0; k < width; ++k) store(lanes[k], fields[k]);
  for (int i = 0; i < valid; ++i)
    for (int k = 0; k < width; ++k) to[width * i + k] = lanes[k][i];
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
