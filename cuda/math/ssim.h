// The structural similarity of one pixel and channel, and its derivatives, from Gaussian-weighted local moments.
//
// Source: Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from error visibility to structural
// similarity", 2004, equations 13 to 16; the window of 11 x 11 with sigma 1.5 and the constants are section III-C's.
#pragma once

#include "math/host_device.h"

namespace recon::ssim {

constexpr int kRadius = 5;
constexpr int kTaps = 2 * kRadius + 1;

// exp(-i^2 / (2 * 1.5^2)) for i = -5..5, normalised to sum 1; a constant where `tap` is one.
RECON_HD constexpr float window(int tap) {
  constexpr float weights[kTaps] = {0.00102838008f, 0.00759875814f, 0.0360007721f, 0.10936069f,
                                    0.213005538f,   0.266011725f,   0.213005538f,  0.10936069f,
                                    0.0360007721f,  0.00759875814f, 0.00102838008f};
  return weights[tap];
}

constexpr float kC1 = 0.01f * 0.01f;  // for values in [0, 1]
constexpr float kC2 = 0.03f * 0.03f;

template <class F>
struct Similarity {
  F value;
  // Derivatives with respect to the local means E[x], E[x x] (at fixed E[y y]) and E[x y].
  F d_mean, d_square, d_product;
};

// mean_x = E[x], mean_y = E[y], squares = E[x x + y y], product = E[x y] under the window.
// Only the sum of the two variances enters, so four filtered maps are enough.
template <class F>
RECON_HD Similarity<F> similarity(F mean_x, F mean_y, F squares, F product) {
  const F means = mean_x * mean_x + mean_y * mean_y;
  const F cross = mean_x * mean_y;
  const F luminance = cross * 2.0f + kC1;
  const F structure = (product - cross) * 2.0f + kC2;
  const F luminance_scale = 1.0f / (means + kC1);
  const F structure_scale = 1.0f / (squares - means + kC2);
  const F scale = luminance_scale * structure_scale;
  Similarity<F> s;
  s.value = luminance * structure * scale;
  s.d_product = luminance * scale * 2.0f;
  s.d_square = -s.value * structure_scale;
  s.d_mean = mean_y * (structure - luminance) * scale * 2.0f -
             mean_x * s.value * (luminance_scale - structure_scale) * 2.0f;
  return s;
}

}  // namespace recon::ssim
