// One Gaussian at one pixel: alpha = min(kAlphaMax, opacity exp(-sigma)), blended where alpha >= kAlphaMin while the
// pixel's transmittance, before this Gaussian, is at least kStop. The Gaussian that takes it below kStop still counts.
// Beyond kAlphaMax the gradient is zero.
#pragma once

#include "math/host_device.h"

namespace recon::math {

constexpr float kAlphaMin = 1.0f / 255.0f;
constexpr float kAlphaMax = 0.99f;
constexpr float kStop = 1e-4f;
// The median depth is that of the Gaussian that takes the transmittance from above to at most this.
constexpr float kMedian = 0.5f;

// sigma = 0.5 (a dx^2 + c dy^2) + b dx dy, with (dx, dy) = pixel centre - projected mean.
template <class F, class S>
RECON_HD F gaussian_exponent(F dx, F dy, S conic_a, S conic_b, S conic_c) {
  return 0.5f * (conic_a * dx * dx + conic_c * dy * dy) + conic_b * dx * dy;
}

// Sums over pixels of q = -dL/dsigma (= dL/dalpha alpha where alpha is not clamped) times monomials of (dx, dy):
// all that the geometry's gradient needs.
template <class F>
struct Moments {
  F one, x, y, xx, xy, yy;
};

// From the moments to the projected Gaussian. opacity is the effective one (after compensation), positive.
template <class F>
struct MomentGradient {
  F opacity, u, v, conic_a, conic_b, conic_c;
};
template <class F>
RECON_HD MomentGradient<F> moments_adjoint(const Moments<F>& m, F opacity, F conic_a, F conic_b, F conic_c) {
  return {m.one / opacity,
          conic_a * m.x + conic_b * m.y,
          conic_b * m.x + conic_c * m.y,
          -0.5f * m.xx,
          -m.xy,
          -0.5f * m.yy};
}

// Front-to-back adjoint of the blend at one pixel. `behind` is g.(everything not yet passed, background included),
// starting from g.(final colour); gc = g.(this Gaussian's colour). Returns dL/dalpha and moves `behind` past it.
// Source: the sum over what lies behind is the final value minus what was passed; no list and no division of the
// transmittance is needed.
template <class F>
RECON_HD F blend_adjoint(F transmittance, F alpha, F weight, F gc, F& behind) {
  behind -= weight * gc;
  return transmittance * gc - behind / (1.0f - alpha);
}

}  // namespace recon::math
