// Rows are filtered vertically straight from the pictures (a few output rows at a time, so that every input row is
// loaded once for all of them), then horizontally from a padded row buffer. Channels stay interleaved: the horizontal
// taps of one channel are `channels` floats apart. Rows are independent and sums are added in row order, so the
// result does not depend on the number of threads.
#include "ssim/l1_ssim_cpu.h"

#include <vector>

#include "cpu/pack.h"
#include "cpu/threads.h"
#include "math/ssim.h"

namespace recon::RECON_ISA {
namespace {

using ssim::kRadius;
using ssim::kTaps;
using ssim::window;

// Output rows per vertical pass: as many as their sums fit in registers.
constexpr int kRows = kLanes == 16 ? 4 : 2;
constexpr int64_t kBand = 16;  // rows per chunk of work; a multiple of kRows

RECON_INLINE f32 load_first(const float* p, int64_t count) {
  if (count >= kLanes) return load(p);
  float lane[kLanes] = {};
  std::memcpy(lane, p, static_cast<size_t>(count) * sizeof(float));
  return load(lane);
}

RECON_INLINE void store_first(float* p, f32 v, int64_t count) {
  if (count >= kLanes) return store(p, v);
  float lane[kLanes];
  store(lane, v);
  std::memcpy(p, lane, static_cast<size_t>(count) * sizeof(float));
}

// Rows of filtered maps with zeros on both sides, as the zero padding of the picture demands.
template <int maps>
class RowBuffer {
 public:
  RowBuffer(int64_t values, int64_t channels)
      : margin_(kRadius * channels), stride_(values + 2 * margin_ + 2 * kLanes), data_(stride_ * maps * kRows) {}

  float* row(int map, int row) { return data_.data() + (map * kRows + row) * stride_ + margin_; }

 private:
  int64_t margin_, stride_;
  std::vector<float> data_;
};

// Adds input row `j` (counted from kRadius above the first output row) to the output rows its taps reach.
template <int maps>
RECON_INLINE void accumulate(int j, const f32 (&value)[maps], f32 (&sums)[maps][kRows]) {
#pragma GCC unroll 4
  for (int row = 0; row < kRows; ++row) {
    const int tap = j - row;
    if (tap < 0 || tap >= kTaps) continue;
    for (int map = 0; map < maps; ++map) sums[map][row] += value[map] * window(tap);
  }
}

// Filters `maps` values, made by values(row, column, count), vertically into the buffer's rows.
template <int maps, class Values>
RECON_INLINE void filter_columns(int64_t first_row, int64_t height, int64_t width, RowBuffer<maps>& buffer,
                                 const Values& values) {
  for (int64_t column = 0; column < width; column += kLanes) {
    f32 sums[maps][kRows] = {};
#pragma GCC unroll 16
    for (int j = 0; j < kRows + 2 * kRadius; ++j) {
      const int64_t row = first_row + j - kRadius;
      if (row < 0 || row >= height) continue;
      f32 value[maps];
      values(row * width + column, width - column, value);
      accumulate<maps>(j, value, sums);
    }
    for (int map = 0; map < maps; ++map)
      for (int row = 0; row < kRows; ++row) store(buffer.row(map, row) + column, sums[map][row]);
  }
}

RECON_INLINE f32 filter_row(const float* center, int64_t step) {
  f32 total = load(center - kRadius * step) * window(0);
#pragma GCC unroll 10
  for (int tap = 1; tap < kTaps; ++tap) total += load(center + (tap - kRadius) * step) * window(tap);
  return total;
}

// The weight of every value of a row, zero beyond its end.
void expand_weights(const L1SsimShape& shape, const float* mask, int64_t row, std::vector<float>& weights) {
  for (int64_t x = 0, i = 0; x < shape.width; ++x)
    for (int64_t c = 0; c < shape.channels; ++c, ++i) weights[i] = mask ? mask[row * shape.width + x] : 1.0f;
}

struct RowSums {
  double l1, similarity, weight;
};

}  // namespace

void l1_ssim_forward(L1SsimShape shape, const float* image, const float* target, const float* mask, float* partials,
                     float results[3]) {
  const int64_t width = shape.width * shape.channels, height = shape.height, plane = width * height;
  std::vector<RowSums> rows(static_cast<size_t>(height));

  parallel_ranges(height, kBand, [&](int64_t begin, int64_t end) {
    RowBuffer<4> buffer(width, shape.channels);
    std::vector<float> weights(static_cast<size_t>(width + kLanes));
    for (int64_t first = begin; first < end; first += kRows) {
      filter_columns<4>(first, height, width, buffer, [&](int64_t at, int64_t count, f32(&value)[4]) {
        const f32 x = load_first(image + at, count), y = load_first(target + at, count);
        value[0] = x;
        value[1] = y;
        value[2] = x * x + y * y;
        value[3] = x * y;
      });
      for (int64_t row = first; row < end && row < first + kRows; ++row) {
        const int r = static_cast<int>(row - first);
        if (mask != nullptr || row == begin) expand_weights(shape, mask, row, weights);
        f32 l1 = {}, similarity = {}, weight = {};
        for (int64_t column = 0; column < width; column += kLanes) {
          const int64_t at = row * width + column, count = width - column;
          const f32 w = load(weights.data() + column);
          const auto s = ssim::similarity<f32>(
              filter_row(buffer.row(0, r) + column, shape.channels), filter_row(buffer.row(1, r) + column, shape.channels),
              filter_row(buffer.row(2, r) + column, shape.channels), filter_row(buffer.row(3, r) + column, shape.channels));
          similarity += w * s.value;
          l1 += w * abs(load_first(image + at, count) - load_first(target + at, count));
          weight += w;
          if (partials != nullptr) {
            store_first(partials + at, w * s.d_mean, count);
            store_first(partials + plane + at, w * s.d_square, count);
            store_first(partials + 2 * plane + at, w * s.d_product, count);
          }
        }
        rows[static_cast<size_t>(row)] = {sum(l1), sum(similarity), sum(weight)};
      }
    }
  });

  RowSums total = {};
  for (const RowSums& row : rows) {
    total.l1 += row.l1;
    total.similarity += row.similarity;
    total.weight += row.weight;
  }
  const double inverse_weight = total.weight > 0.0 ? 1.0 / total.weight : 0.0;
  results[0] = static_cast<float>(total.l1 * inverse_weight);
  results[1] = static_cast<float>(total.similarity * inverse_weight);
  results[2] = static_cast<float>(inverse_weight);
}

void l1_ssim_backward(L1SsimShape shape, const float* image, const float* target, const float* mask,
                      const float* partials, float inverse_weight, float d_l1, float d_ssim, float* gradient) {
  const int64_t width = shape.width * shape.channels, height = shape.height, plane = width * height;
  d_l1 *= inverse_weight;
  d_ssim *= inverse_weight;

  parallel_ranges(height, kBand, [&](int64_t begin, int64_t end) {
    RowBuffer<3> buffer(width, shape.channels);
    std::vector<float> weights(static_cast<size_t>(width + kLanes));
    for (int64_t first = begin; first < end; first += kRows) {
      filter_columns<3>(first, height, width, buffer, [&](int64_t at, int64_t count, f32(&value)[3]) {
        for (int map = 0; map < 3; ++map) value[map] = load_first(partials + map * plane + at, count);
      });
      for (int64_t row = first; row < end && row < first + kRows; ++row) {
        const int r = static_cast<int>(row - first);
        if (mask != nullptr || row == begin) expand_weights(shape, mask, row, weights);
        for (int64_t column = 0; column < width; column += kLanes) {
          const int64_t at = row * width + column, count = width - column;
          const f32 x = load_first(image + at, count), y = load_first(target + at, count), difference = x - y;
          const f32 sign = select(difference > 0.0f, splat(1.0f), select(difference < 0.0f, splat(-1.0f), f32{}));
          const f32 similarity = filter_row(buffer.row(0, r) + column, shape.channels) +
                                 2.0f * x * filter_row(buffer.row(1, r) + column, shape.channels) +
                                 y * filter_row(buffer.row(2, r) + column, shape.channels);
          store_first(gradient + at, d_l1 * load(weights.data() + column) * sign + d_ssim * similarity, count);
        }
      }
    }
  });
}

}  // namespace recon::RECON_ISA
