// Where a projected Gaussian can reach kAlphaMin: the ellipse sigma <= log(opacity / kAlphaMin), its bounds, and the
// exact interval of x it covers over a band of rows.
#pragma once

#include "math/alpha.h"

namespace recon::math {

// Half width and half height of {0.5 d^T conic d <= level}, from the covariance's diagonal.
template <class F>
RECON_HD F half_extent(F covariance_diagonal, F level) {
  return square_root<F>(2.0f * level * covariance_diagonal);
}

// The x-interval [low, high] (relative to the mean) that the ellipse covers over dy in [dy0, dy1]; the band must meet
// the ellipse's bounding box. The rightmost point of the ellipse lies at dy = b/a_cov * half_width; where that is
// outside the band, the nearest row of the band is the extreme one.
template <class F>
struct Interval {
  F low, high;
};
template <class F, class S>
RECON_HD Interval<F> band_interval(F dy0, F dy1, S conic_a, S conic_b, S level, S cov_b_over_a, S half_width,
                                   S one_over_conic_a, S inverse_cov_c) {
  const F tip = F{} + cov_b_over_a * half_width;  // dy of the rightmost point; the leftmost is at -tip
  const F right = smaller<F>(larger<F>(tip, dy0), dy1), left = smaller<F>(larger<F>(-tip, dy0), dy1);
  // x(dy) = -b/a dy +- sqrt((2 level - dy^2 / cov_c) / a)
  const F zero = F{};
  const F root_right = square_root<F>(larger<F>((2.0f * level - right * right * inverse_cov_c) * one_over_conic_a, zero));
  const F root_left = square_root<F>(larger<F>((2.0f * level - left * left * inverse_cov_c) * one_over_conic_a, zero));
  const F skew = F{} - conic_b * one_over_conic_a;
  return {skew * left - root_left, skew * right + root_right};
}

}  // namespace recon::math
