// What the per-element math needs from its scalar: one templated source serves CUDA threads (float), the double
// precision oracle (double) and SIMD packs (see cpu/pack_math.h).
#pragma once

#include <cmath>

#if defined(__CUDACC__)
#define RECON_HD __host__ __device__ __forceinline__
#else
#define RECON_HD inline __attribute__((always_inline))
#endif

namespace recon::math {

// The operations that have no operator. The primary template is for float and double; packs specialise it.
template <class F>
struct Lane {
  using Mask = bool;
  static RECON_HD F sqrt(F x) { return ::sqrt(x); }
  static RECON_HD F select(bool mask, F yes, F no) { return mask ? yes : no; }
};

template <>
struct Lane<float> {
  using Mask = bool;
  static RECON_HD float sqrt(float x) { return ::sqrtf(x); }
  static RECON_HD float select(bool mask, float yes, float no) { return mask ? yes : no; }
};

template <class F>
using Mask = typename Lane<F>::Mask;

template <class F>
RECON_HD F square_root(F x) {
  return Lane<F>::sqrt(x);
}

// yes where mask is true, else no; both sides are evaluated.
template <class F>
RECON_HD F select(Mask<F> mask, F yes, F no) {
  return Lane<F>::select(mask, yes, no);
}

template <class F>
RECON_HD F larger(F a, F b) {
  return select<F>(a > b, a, b);
}

template <class F>
RECON_HD F smaller(F a, F b) {
  return select<F>(a < b, a, b);
}

}  // namespace recon::math
