// Per-element math of the plane sweep, the semi-global matching and the PatchMatch refinement.
//
// Every function is templated on F, a float or a pack of floats: comparisons select lane by lane.
// The constants were chosen by measurement on forward-facing and object-centred captures (docs/stereo.md).
#pragma once

#include <cstdint>

#include "math/host_device.h"

namespace recon::sweep {

using math::larger;
using math::select;
using math::smaller;

constexpr int kCorrelationRadius = 3;  // ZNCC window 7 x 7
constexpr int kDifferenceRadius = 2;   // box of the colour and gradient difference, 5 x 5
constexpr float kVarianceFloor = 4e-5f;
constexpr float kCorrelationWeight = 0.5f;
constexpr float kCorrelationLimit = 1.25f;  // 1 - ZNCC is clipped here: anti-correlation says no more than that
constexpr float kDifferenceWeight = 0.6f;
constexpr float kColorWeight = 0.3f;
constexpr float kColorLimit = 0.08f;
constexpr float kGradientWeight = 0.7f;
constexpr float kGradientLimit = 0.03f;
constexpr float kUnseenCost = 0.9f;  // of a plane that no source sees
constexpr float kCostLevels = 200.0f;  // the 8-bit volume holds round(200 * cost)
constexpr float kOccluded = 0.96f;     // a source's surface nearer than this share of the depth hides it
constexpr float kAgreement = 0.01f;
constexpr float kFreeSpace = 1.04f;  // a source's surface farther than this says that the space is empty
constexpr float kDepthBonus = 0.1f;

// PatchMatch: a window of 11 x 11, every second pixel, weighed by likeness to the centre.
constexpr int kPatchRadius = 5;
constexpr int kPatchStep = 2;
constexpr int kPatchSide = 2 * kPatchRadius / kPatchStep + 1;
constexpr int kPatchSamples = kPatchSide * kPatchSide;
constexpr float kPatchColorSigma = 0.12f;
constexpr float kPatchVarianceFloor = 1e-5f;
constexpr float kHoldingDeviation = 0.02f;  // the relative change of depth that costs `holding`

constexpr int kPeakRadius = 4;  // planes this near the winner belong to its peak

// A packed pixel: bits 0-9 blue, 10-19 green, 20-29 red, bit 30 set where the pixel holds picture.
constexpr float kColorScale = 1.0f / 1023.0f;
constexpr float kLumaRed = 0.299f, kLumaGreen = 0.587f, kLumaBlue = 0.114f;

template <class F>
RECON_HD F magnitude(F a) {
  return larger<F>(a, -a);
}

template <class F>
RECON_HD F luma(F red, F green, F blue) {
  return red * kLumaRed + green * kLumaGreen + blue * kLumaBlue;
}

// Interpolates between the four neighbours of a sample at the fractions (x, y).
template <class F>
RECON_HD F bilinear(F top_left, F top_right, F bottom_left, F bottom_right, F x, F y) {
  const F top = top_left + (top_right - top_left) * x;
  const F bottom = bottom_left + (bottom_right - bottom_left) * x;
  return top + (bottom - top) * y;
}

// Truncated mean absolute difference of two colours, in [0, kColorWeight].
template <class F>
RECON_HD F color_difference(F red, F green, F blue, F other_red, F other_green, F other_blue) {
  const F sum = magnitude(red - other_red) + magnitude(green - other_green) + magnitude(blue - other_blue);
  return smaller(sum * (1.0f / 3.0f), F{} + kColorLimit) * (kColorWeight / kColorLimit);
}

// Truncated difference of two luma gradients, in [0, kGradientWeight].
template <class F>
RECON_HD F gradient_difference(F dx, F dy, F other_dx, F other_dy) {
  const F sum = magnitude(dx - other_dx) + magnitude(dy - other_dy);
  return smaller(sum, F{} + kGradientLimit) * (kGradientWeight / kGradientLimit);
}

// The matching cost of one source, in [0, 1.225]: half zero-mean normalised cross-correlation, half differences.
// `correlation` is the ZNCC, `difference` the boxed mean of the two differences above.
template <class F>
RECON_HD F matching_cost(F correlation, F difference) {
  const F dissimilarity = smaller(larger(1.0f - correlation, F{}), F{} + kCorrelationLimit);
  return dissimilarity * kCorrelationWeight + difference * kDifferenceWeight;
}

// What a source's own depth map says of a point at depth `depth` in that source, whose surface there is at `surface`
// (0 = unknown): the term added to the cost. Occlusion is asked separately.
template <class F>
RECON_HD F surface_term(F surface, F depth) {
  const F agrees = select<F>(magnitude(surface - depth) < depth * kAgreement, F{} - kDepthBonus, F{});
  return select<F>(surface > depth * kFreeSpace, F{} + kDepthBonus, agrees);
}

// The cost of a plane from the sources that see it.
template <class F>
RECON_HD F combined_cost(F lowest, F sum, F count, float lowest_weight) {
  const F mean = sum / larger(count, F{} + 1.0f);
  const F cost = lowest * lowest_weight + mean * (1.0f - lowest_weight);
  return select<F>(count > 0.0f, larger(cost, F{}), F{} + kUnseenCost);
}

// The offset of the minimum of a parabola through (-1, before), (0, at), (1, after), in [-0.5, 0.5].
template <class F>
RECON_HD F parabola_offset(F before, F at, F after) {
  const F curvature = before - at * 2.0f + after;
  const F offset = (before - after) * 0.5f / larger(curvature, F{} + 1e-6f);
  return smaller(larger(offset, F{} - 0.5f), F{} + 0.5f);
}

// Reproducible random bits from a counter: the finaliser of MurmurHash3 (Appleby, public domain) over pixel and draw.
// The same on every back end and in every order of evaluation. U is uint32_t or a pack of them.
template <class U>
RECON_HD U random_bits(U pixel, uint32_t draw) {
  U h = pixel * 0x9e3779b9u + (draw * 0x85ebca6bu + 0x165667b1u);
  h ^= h >> 16;
  h *= 0x85ebca6bu;
  h ^= h >> 13;
  h *= 0xc2b2ae35u;
  h ^= h >> 16;
  return h >> 8;
}
constexpr float kRandomScale = 2.0f / 16777216.0f;  // turns the 24 bits into [0, 2)

}  // namespace recon::sweep
