// The plane-sweep cost volume.
//
// The picture is cut into bands of rows, one per task. In a band, each source is warped onto each plane row by row (a
// homography's numerators and denominator are linear along a row), window sums run down the columns, and sixteen
// planes at a time are turned into the volume's [y, x, plane] order. A band's result depends on that band alone, so the
// volume is the same for any number of threads.
#include "sweep/plane_sweep_cpu.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "cpu/pack_math.h"
#include "cpu/threads.h"
#include "math/sweep.h"
#include "sweep/gather.h"

namespace recon::RECON_ISA {
namespace {

using namespace recon::sweep;

constexpr int kBand = 32;
constexpr int kBlock = 16;              // planes transposed together
constexpr int kHalo = kCorrelationRadius;
constexpr int kMargin = 16;             // zero columns on both sides of a row, at least the window radius
constexpr float kSkipped = 1e30f;       // marks a source that does not see the pixel

// Rows of floats with zero margins, so that windows and packs may reach over the edges.
class Rows {
 public:
  Rows(int64_t rows, int64_t width)
      : stride_((width + kLanes - 1) / kLanes * kLanes + 2 * kMargin), data_(rows * stride_ + kLanes, 0.0f) {}
  float* operator[](int64_t row) { return data_.data() + row * stride_ + kMargin; }
  const float* operator[](int64_t row) const { return data_.data() + row * stride_ + kMargin; }

 private:
  int64_t stride_;
  std::vector<float> data_;
};

struct Colors {
  f32 red, green, blue;
};

RECON_INLINE Colors unpack(i32 pixel) {
  return {to_float((pixel >> 20) & 1023) * kColorScale, to_float((pixel >> 10) & 1023) * kColorScale,
          to_float(pixel & 1023) * kColorScale};
}

// What the window sums need of the reference picture, computed once.
struct Reference {
  Rows red, green, blue, gray, dx, dy, mean, inverse_deviation;
  std::vector<float> inverse_count_7, inverse_count_5;  // 1 / (window columns inside the picture)

  Reference(const PlaneSweep& s)
      : red(s.height, s.width), green(s.height, s.width), blue(s.height, s.width), gray(s.height, s.width),
        dx(s.height, s.width), dy(s.height, s.width), mean(s.height, s.width),
        inverse_deviation(s.height, s.width) {}
};

float inverse_count(int64_t center, int radius, int64_t size) {
  const int64_t first = std::max<int64_t>(center - radius, 0);
  const int64_t last = std::min<int64_t>(center + radius, size - 1);
  return 1.0f / static_cast<float>(last - first + 1);
}

// Sums `rows` of the window around each column, for one row of column sums.
template <int kRadius>
RECON_INLINE f32 window(const float* column_sums) {
  f32 total = load(column_sums - kRadius);
  for (int offset = 1 - kRadius; offset <= kRadius; ++offset) total += load(column_sums + offset);
  return total;
}

// Central differences, one-sided at the edges of the picture.
RECON_INLINE f32 difference_x(const float* row, int64_t x) { return (load(row + x + 1) - load(row + x - 1)) * 0.5f; }

// Repeats the first and last value one column outwards: turns the central difference into half a one-sided one.
void extend(float* row, int64_t width) {
  row[-1] = row[0];
  row[width] = row[width - 1];
}

void clear_margins(float* row, int64_t width) {
  for (int i = 1; i <= kMargin; ++i) row[-i] = 0.0f;
  for (int64_t x = width; x < (width + kLanes - 1) / kLanes * kLanes + kMargin; ++x) row[x] = 0.0f;
}

std::unique_ptr<Reference> prepare(const PlaneSweep& s) {
  auto reference = std::make_unique<Reference>(s);
  Reference& r = *reference;
  for (int64_t y = 0; y < s.height; ++y)
    for (int64_t x = 0; x < s.width; ++x) {
      const int32_t pixel = s.reference[y * s.width + x];
      r.red[y][x] = static_cast<float>((pixel >> 20) & 1023) * kColorScale;
      r.green[y][x] = static_cast<float>((pixel >> 10) & 1023) * kColorScale;
      r.blue[y][x] = static_cast<float>(pixel & 1023) * kColorScale;
      // Centred on mid-grey: the variances below then lose less to cancellation.
      r.gray[y][x] = luma(r.red[y][x], r.green[y][x], r.blue[y][x]) - 0.5f;
    }
  for (int64_t x = 0; x < s.width + kLanes; ++x) {
    const int64_t column = std::min(x, s.width - 1);
    r.inverse_count_7.push_back(inverse_count(column, kCorrelationRadius, s.width));
    r.inverse_count_5.push_back(inverse_count(column, kDifferenceRadius, s.width));
  }
  parallel_ranges(s.height, kBand, [&](int64_t begin, int64_t end) {
    for (int64_t y = begin; y < end; ++y) {
      const float* above = r.gray[std::max<int64_t>(y - 1, 0)];
      const float* below = r.gray[std::min<int64_t>(y + 1, s.height - 1)];
      for (int64_t x = 0; x < s.width; ++x) {
        const int64_t left = std::max<int64_t>(x - 1, 0), right = std::min<int64_t>(x + 1, s.width - 1);
        r.dx[y][x] = (r.gray[y][right] - r.gray[y][left]) * 0.5f;
        r.dy[y][x] = (below[x] - above[x]) * 0.5f;
        float sum = 0.0f, squares = 0.0f;
        int count = 0;
        for (int64_t j = std::max<int64_t>(y - kHalo, 0); j <= std::min<int64_t>(y + kHalo, s.height - 1); ++j)
          for (int64_t i = std::max<int64_t>(x - kHalo, 0); i <= std::min<int64_t>(x + kHalo, s.width - 1); ++i) {
            const float value = r.gray[j][i];
            sum += value;
            squares += value * value;
            ++count;
          }
        const float mean = sum / static_cast<float>(count);
        const float variance = squares / static_cast<float>(count) - mean * mean;
        r.mean[y][x] = mean;
        r.inverse_deviation[y][x] = 1.0f / __builtin_sqrtf(std::max(variance, kVarianceFloor));
      }
    }
  });
  return reference;
}

// One band of rows of the reference, [first, last).
class Band {
 public:
  Band(const PlaneSweep& sweep, const Reference& reference, int64_t first, int64_t last)
      : s_(sweep),
        r_(reference),
        first_(first),
        last_(last),
        top_(std::max<int64_t>(first - kHalo, 0)),
        bottom_(std::min<int64_t>(last + kHalo, sweep.height)),
        gray_(bottom_ - top_, sweep.width),
        difference_(bottom_ - top_, sweep.width),
        surface_(last - first, sweep.width),
        lowest_(last - first, sweep.width),
        sum_(last - first, sweep.width),
        count_(last - first, sweep.width),
        columns_(4, sweep.width),
        byte_stride_((sweep.width + kLanes - 1) / kLanes * kLanes),
        bytes_((last - first) * kBlock * byte_stride_) {}

  void run() {
    for (int64_t block = 0; block < s_.planes; block += kBlock) {
      for (int64_t plane = 0; plane < kBlock; ++plane) {
        for (int64_t source = 0; source < s_.source_count; ++source) {
          warp(source, s_.inverse_depths[block + plane]);
          add_gradient_difference();
          add_cost(source == 0);
        }
        quantise(plane);
      }
      transpose(block);
    }
  }

 private:
  // Fills gray_, difference_ (its colour part) for rows top_..bottom_ and surface_ for the band's own rows.
  void warp(int64_t source, float inverse_depth) {
    const float* p = s_.projections + source * 12;
    const int32_t* pixels = s_.sources + source * s_.source_width * s_.source_height;
    const float* depths =
        s_.source_depths == nullptr ? nullptr : s_.source_depths + source * s_.source_width * s_.source_height;
    const int32_t width = s_.source_sizes[source * 2], height = s_.source_sizes[source * 2 + 1];
    const int32_t stride = static_cast<int32_t>(s_.source_width);
    const float right = static_cast<float>(width - 1), bottom = static_cast<float>(height - 1);
    const f32 depth_scale = splat(1.0f / inverse_depth);
    for (int64_t y = top_; y < bottom_; ++y) {
      const float v = static_cast<float>(y) + 0.5f;
      const float x0 = p[1] * v + p[2] + p[3] * inverse_depth;
      const float y0 = p[5] * v + p[6] + p[7] * inverse_depth;
      const float z0 = p[9] * v + p[10] + p[11] * inverse_depth;
      const bool own = y >= first_ && y < last_;
      float* gray = gray_[y - top_];
      float* difference = difference_[y - top_];
      float* surface = own ? surface_[y - first_] : nullptr;
      for (int64_t x = 0; x < s_.width; x += kLanes) {
        const f32 u = ramp() + (static_cast<float>(x) + 0.5f);
        const f32 z = u * p[8] + z0;
        const f32 inverse_z = 1.0f / z;
        const f32 px = (u * p[0] + x0) * inverse_z - 0.5f;
        const f32 py = (u * p[4] + y0) * inverse_z - 0.5f;
        const f32 sx = max(min(px, splat(right)), splat(0.0f));
        const f32 sy = max(min(py, splat(bottom)), splat(0.0f));
        // The cell's corner stays one inside, so that its right and lower neighbours exist.
        const i32 ix = to_int(min(sx, splat(right - 1.0f)));
        const i32 iy = to_int(min(sy, splat(bottom - 1.0f)));
        const f32 fx = sx - to_float(ix), fy = sy - to_float(iy);
        const i32 index = iy * stride + ix;
        const i32 pixel00 = gather(pixels, index), pixel01 = gather(pixels + 1, index);
        const i32 pixel10 = gather(pixels + stride, index), pixel11 = gather(pixels + stride + 1, index);
        const Colors a = unpack(pixel00), b = unpack(pixel01), c = unpack(pixel10), d = unpack(pixel11);
        const f32 red = bilinear(a.red, b.red, c.red, d.red, fx, fy);
        const f32 green = bilinear(a.green, b.green, c.green, d.green, fx, fy);
        const f32 blue = bilinear(a.blue, b.blue, c.blue, d.blue, fx, fy);
        store(gray + x, luma(red, green, blue) - 0.5f);
        store(difference + x, color_difference(load(r_.red[y] + x), load(r_.green[y] + x), load(r_.blue[y] + x), red,
                                               green, blue));
        if (own) {
          const i32 valid = (pixel00 & pixel01 & pixel10 & pixel11) >> 30 != 0;
          const i32 seen = valid & (z > 1e-6f) & (px >= -0.5f) & (px <= right + 0.5f) & (py >= -0.5f) &
                           (py <= bottom + 0.5f);
          f32 term = select(seen, f32{}, splat(kSkipped));
          if (depths != nullptr) {
            const i32 nearest = to_int(sy + 0.5f) * stride + to_int(sx + 0.5f);
            const f32 known = gather(depths, nearest);
            const f32 depth = z * depth_scale;
            const i32 has = seen & (known > 0.0f);
            const f32 verdict = select(known < depth * kOccluded, splat(kSkipped), surface_term(known, depth));
            term = select(has, verdict, term);
          }
          store(surface + x, term);
        }
      }
      clear_margins(gray, s_.width);
    }
  }

  // Adds the gradient part, and clears what lies outside the picture so that the box sums ignore it.
  void add_gradient_difference() {
    const int64_t begin = std::max<int64_t>(first_ - kDifferenceRadius, 0);
    const int64_t end = std::min<int64_t>(last_ + kDifferenceRadius, s_.height);
    for (int64_t y = begin; y < end; ++y) {
      float* row = gray_[y - top_];
      const float* above = gray_[std::max<int64_t>(y - 1, 0) - top_];
      const float* below = gray_[std::min<int64_t>(y + 1, s_.height - 1) - top_];
      float* difference = difference_[y - top_];
      extend(row, s_.width);
      for (int64_t x = 0; x < s_.width; x += kLanes) {
        const f32 dx = difference_x(row, x);
        const f32 dy = (load(below + x) - load(above + x)) * 0.5f;
        store(difference + x,
              load(difference + x) + gradient_difference(dx, dy, load(r_.dx[y] + x), load(r_.dy[y] + x)));
      }
      row[-1] = row[s_.width] = 0.0f;
      clear_margins(difference, s_.width);
    }
  }

  void add_cost(bool first_source) {
    for (int64_t row = 0; row < 4; ++row) std::fill(columns_[row] - kMargin, columns_[row] + byte_stride_ + kMargin, 0.0f);
    for (int64_t y = std::max<int64_t>(first_ - kHalo, 0); y < std::min<int64_t>(first_ + kHalo, s_.height); ++y)
      slide<1>(y, columns_[0], columns_[1], columns_[2]);
    for (int64_t y = std::max<int64_t>(first_ - kDifferenceRadius, 0);
         y < std::min<int64_t>(first_ + kDifferenceRadius, s_.height); ++y)
      slide_difference<1>(y, columns_[3]);
    for (int64_t y = first_; y < last_; ++y) {
      if (y + kHalo < s_.height) slide<1>(y + kHalo, columns_[0], columns_[1], columns_[2]);
      if (y + kDifferenceRadius < s_.height) slide_difference<1>(y + kDifferenceRadius, columns_[3]);
      add_cost_of_row(y, first_source);
      if (y - kHalo >= 0) slide<-1>(y - kHalo, columns_[0], columns_[1], columns_[2]);
      if (y - kDifferenceRadius >= 0) slide_difference<-1>(y - kDifferenceRadius, columns_[3]);
    }
  }

  // Adds (kSign = 1) or takes away (-1) a row of the running column sums.
  template <int kSign>
  RECON_INLINE void slide(int64_t y, float* sums, float* squares, float* products) {
    const float* other = gray_[y - top_];
    const float* own = r_.gray[y];
    for (int64_t x = 0; x < s_.width; x += kLanes) {
      const f32 value = load(other + x);
      store(sums + x, load(sums + x) + value * float(kSign));
      store(squares + x, load(squares + x) + value * value * float(kSign));
      store(products + x, load(products + x) + value * load(own + x) * float(kSign));
    }
  }

  template <int kSign>
  RECON_INLINE void slide_difference(int64_t y, float* sums) {
    const float* difference = difference_[y - top_];
    for (int64_t x = 0; x < s_.width; x += kLanes)
      store(sums + x, load(sums + x) + load(difference + x) * float(kSign));
  }

  void add_cost_of_row(int64_t y, bool first_source) {
    const float rows_7 = inverse_count(y, kCorrelationRadius, s_.height);
    const float rows_5 = inverse_count(y, kDifferenceRadius, s_.height);
    const float *sums = columns_[0], *squares = columns_[1], *products = columns_[2], *differences = columns_[3];
    const float *own_mean = r_.mean[y], *own_inverse_deviation = r_.inverse_deviation[y];
    const float* surface = surface_[y - first_];
    float *lowest = lowest_[y - first_], *sum = sum_[y - first_], *count = count_[y - first_];
    for (int64_t x = 0; x < s_.width; x += kLanes) {
      const f32 inverse_7 = load(r_.inverse_count_7.data() + x) * rows_7;
      const f32 mean = window<kCorrelationRadius>(sums + x) * inverse_7;
      const f32 variance = window<kCorrelationRadius>(squares + x) * inverse_7 - mean * mean;
      const f32 covariance = window<kCorrelationRadius>(products + x) * inverse_7 - mean * load(own_mean + x);
      const f32 correlation = covariance * load(own_inverse_deviation + x) /
                              square_root(max(variance, splat(kVarianceFloor)));
      const f32 difference =
          window<kDifferenceRadius>(differences + x) * (load(r_.inverse_count_5.data() + x) * rows_5);
      const f32 term = load(surface + x);
      const i32 seen = term < 1.0f;
      const f32 cost = matching_cost(correlation, difference) + term;
      const f32 weighed = select(seen, cost, f32{});
      const f32 one = select(seen, splat(1.0f), f32{});
      store(lowest + x, first_source ? cost : min(load(lowest + x), cost));
      store(sum + x, first_source ? weighed : load(sum + x) + weighed);
      store(count + x, first_source ? one : load(count + x) + one);
    }
  }

  void quantise(int64_t plane) {
    for (int64_t row = 0; row < last_ - first_; ++row) {
      uint8_t* bytes = bytes_.data() + (row * kBlock + plane) * byte_stride_;
      for (int64_t x = 0; x < s_.width; x += kLanes) {
        const f32 cost = combined_cost(load(lowest_[row] + x), load(sum_[row] + x), load(count_[row] + x),
                                       s_.lowest_weight);
        store_bytes(bytes + x, to_int(min(cost * kCostLevels + 0.5f, splat(255.0f))));
      }
    }
  }

  void transpose(int64_t block) {
    for (int64_t row = 0; row < last_ - first_; ++row) {
      const uint8_t* from = bytes_.data() + row * kBlock * byte_stride_;
      uint8_t* to = s_.volume + (first_ + row) * s_.width * s_.planes + block;
      for (int64_t x = 0; x < s_.width; ++x, to += s_.planes)
        for (int plane = 0; plane < kBlock; ++plane) to[plane] = from[plane * byte_stride_ + x];
    }
  }

  const PlaneSweep& s_;
  const Reference& r_;
  const int64_t first_, last_, top_, bottom_;
  Rows gray_, difference_, surface_, lowest_, sum_, count_, columns_;
  const int64_t byte_stride_;
  std::vector<uint8_t> bytes_;
};

}  // namespace

void plane_sweep(const PlaneSweep& sweep) {
  const auto reference = prepare(sweep);
  parallel_ranges(sweep.height, kBand, [&](int64_t begin, int64_t end) { Band(sweep, *reference, begin, end).run(); });
}

}  // namespace recon::RECON_ISA
