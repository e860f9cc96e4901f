// Slanted-plane PatchMatch: every pixel tries its neighbours' planes and random changes of its own.
//
// Pixels are updated as on a checkerboard: those of one colour only read those of the other, so neither the order nor
// the number of threads matters. Lanes are pixels of one colour of a row. A plane's inverse depth is linear over the
// picture, so a window is projected by increments.
//
// Source: Bleyer, Rhemann, Rother, "PatchMatch Stereo", 2011; Galliani, Lasinger, Schindler, "Massively parallel
// multiview stereopsis by surface normal diffusion", 2015 (checkerboard); the term that holds a plane to its start is
// ours: without it the search destroys what the smoothness of semi-global matching has won.
#include "sweep/patchmatch_cpu.h"

#include <algorithm>
#include <vector>

#include "cpu/pack_math.h"
#include "cpu/threads.h"
#include "math/sweep.h"
#include "sweep/gather.h"

namespace recon::RECON_ISA {
namespace {

using namespace recon::sweep;

typedef uint32_t u32 __attribute__((vector_size(kLanes * 4)));

constexpr float kInfinite = 1e30f;
constexpr int kRowsPerTask = 4;

struct Plane {
  f32 inverse_depth, slope_x, slope_y;
};

// The grey of the four pixels that a bilinear sample needs, 8 bits each: one gather fetches them all.
std::vector<int32_t> make_quads(const int32_t* pixels, int64_t width, int64_t height) {
  std::vector<int32_t> gray(width * height), quads(width * height + kLanes);
  for (int64_t i = 0; i < width * height; ++i) {
    const float level = luma(static_cast<float>((pixels[i] >> 20) & 1023), static_cast<float>((pixels[i] >> 10) & 1023),
                             static_cast<float>(pixels[i] & 1023));
    gray[i] = static_cast<int32_t>(level * (255.0f * kColorScale) + 0.5f);
  }
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x) {
      const int64_t right = std::min(x + 1, width - 1), below = std::min(y + 1, height - 1);
      quads[y * width + x] = static_cast<int32_t>(
          static_cast<uint32_t>(gray[y * width + x]) | static_cast<uint32_t>(gray[y * width + right]) << 8 |
          static_cast<uint32_t>(gray[below * width + x]) << 16 |
          static_cast<uint32_t>(gray[below * width + right]) << 24);
    }
  return quads;
}

// The reference window of a pack of pixels: weights and weighed grey, and their moments.
struct Window {
  f32 weight[kPatchSamples];
  f32 weighed[kPatchSamples];
  f32 inverse_weight, mean, variance;
};

class Refiner {
 public:
  explicit Refiner(const PatchMatch& match)
      : m_(match), stride_(match.width + 2 * kPatchRadius), gray_(stride_ * (match.height + 2 * kPatchRadius)) {
    // Repeats the edge, so that windows may reach over it.
    for (int64_t y = -kPatchRadius; y < m_.height + kPatchRadius; ++y)
      for (int64_t x = -kPatchRadius; x < m_.width + kPatchRadius; ++x) {
        const int32_t pixel = m_.reference[std::clamp<int64_t>(y, 0, m_.height - 1) * m_.width +
                                           std::clamp<int64_t>(x, 0, m_.width - 1)];
        gray_[(y + kPatchRadius) * stride_ + x + kPatchRadius] =
            luma(static_cast<float>((pixel >> 20) & 1023), static_cast<float>((pixel >> 10) & 1023),
                 static_cast<float>(pixel & 1023)) * kColorScale;
      }
    for (int64_t source = 0; source < m_.source_count; ++source)
      quads_.push_back(make_quads(m_.sources + source * m_.source_width * m_.source_height, m_.source_width,
                                  m_.source_height));
  }

  void run() {
    std::vector<float> totals(m_.width * m_.height);
    totals_ = totals.data();
    each_pack([&](int64_t y, i32 x, i32 inside) { start(y, x, inside); }, 0);
    each_pack([&](int64_t y, i32 x, i32 inside) { start(y, x, inside); }, 1);
    for (int sweep = 0; sweep < m_.sweeps; ++sweep)
      for (int color = 0; color < 2; ++color)
        each_pack([&](int64_t y, i32 x, i32 inside) { improve(y, x, inside, sweep); }, color);
    // What remains in `costs` is the likeness alone.
    for (int color = 0; color < 2; ++color)
      each_pack(
          [&](int64_t y, i32 x, i32 inside) {
            const i32 pixel = index(y, x);
            const f32 start = gather(m_.inverse_depths, pixel);
            const f32 now = gather(m_.planes, pixel);
            scatter(m_.costs, pixel, gather(totals_, pixel) - hold(now, start), inside & (start > 0.0f));
          },
          color);
  }

 private:
  // Calls body(row, columns, mask of columns in the picture) for every pack of pixels of one colour.
  template <class Body>
  void each_pack(const Body& body, int color) {
    parallel_ranges(m_.height, kRowsPerTask, [&](int64_t begin, int64_t end) {
      for (int64_t y = begin; y < end; ++y)
        for (int64_t x = (y + color) & 1; x < m_.width; x += 2 * kLanes) {
          const i32 columns = to_int(ramp()) * 2 + static_cast<int32_t>(x);
          const i32 inside = columns < static_cast<int32_t>(m_.width);
          // Lanes outside repeat the first one.
          body(y, inside ? columns : splat(static_cast<int32_t>(x)), inside);
        }
    });
  }

  RECON_INLINE i32 index(int64_t y, i32 x) const { return x + static_cast<int32_t>(y * m_.width); }

  static RECON_INLINE void scatter(float* data, i32 pixel, f32 value, i32 where) {
    for (int lane = 0; lane < kLanes; ++lane)
      if (where[lane]) data[pixel[lane]] = value[lane];
  }

  RECON_INLINE Plane plane_at(i32 pixel) const {
    const int64_t size = m_.width * m_.height;
    return {gather(m_.planes, pixel), gather(m_.planes + size, pixel), gather(m_.planes + 2 * size, pixel)};
  }

  RECON_INLINE f32 hold(f32 inverse_depth, f32 start) const {
    // The relative change of depth is that of the inverse depth, seen from the new depth.
    return magnitude(inverse_depth - start) / max(inverse_depth, splat(1e-20f)) * (m_.holding / kHoldingDeviation);
  }

  void start(int64_t y, i32 x, i32 inside) {
    const i32 pixel = index(y, x);
    const f32 begin = gather(m_.inverse_depths, pixel);
    const i32 active = inside & (begin > 0.0f);
    if (!any(active)) return;
    Window window;
    look(y, x, &window);
    const Plane plane = plane_at(pixel);
    scatter(totals_, pixel, cost(y, x, plane, window) + hold(plane.inverse_depth, begin), active);
  }

  void improve(int64_t y, i32 x, i32 inside, int sweep) {
    const i32 pixel = index(y, x);
    const f32 begin = gather(m_.inverse_depths, pixel);
    const i32 active = inside & (begin > 0.0f);
    if (!any(active)) return;
    Window window;
    look(y, x, &window);
    Plane best = plane_at(pixel);
    f32 lowest = gather(totals_, pixel);
    const auto attempt = [&](const Plane& plane, i32 usable) {
      const f32 total = select(usable, cost(y, x, plane, window) + hold(plane.inverse_depth, begin), splat(kInfinite));
      const i32 better = total < lowest;
      lowest = select(better, total, lowest);
      best.inverse_depth = select(better, plane.inverse_depth, best.inverse_depth);
      best.slope_x = select(better, plane.slope_x, best.slope_x);
      best.slope_y = select(better, plane.slope_y, best.slope_y);
    };

    const int offsets[4][2] = {{-1, 0}, {1, 0}, {0, -1}, {0, 1}};
    for (const auto& offset : offsets) {
      const i32 column = x + offset[0];
      const int64_t row = y + offset[1];
      if (row < 0 || row >= m_.height) continue;
      const i32 exists = (column >= 0) & (column < static_cast<int32_t>(m_.width));
      Plane plane = plane_at(exists ? index(row, column) : pixel);
      const i32 usable = active & exists & (plane.inverse_depth > 0.0f);
      if (!any(usable)) continue;
      plane.inverse_depth -= plane.slope_x * static_cast<float>(offset[0]) + plane.slope_y * static_cast<float>(offset[1]);
      attempt(plane, usable & (plane.inverse_depth > 0.0f));
    }

    // Random changes: of depth, of slant, of both. A slant of 45 degrees changes the depth by depth / focal per pixel.
    const float step = m_.depth_step / static_cast<float>(1 << sweep);
    const float slant = 1.0f / static_cast<float>(1 << sweep) / m_.focal;
    for (int change = 0; change < 3; ++change) {
      Plane plane = best;
      if (change != 1) plane.inverse_depth += plane.inverse_depth * random(pixel, sweep, change, 0) * step;
      if (change != 0) {
        plane.slope_x += best.inverse_depth * random(pixel, sweep, change, 1) * slant;
        plane.slope_y += best.inverse_depth * random(pixel, sweep, change, 2) * slant;
      }
      attempt(plane, active);
    }

    const int64_t size = m_.width * m_.height;
    scatter(m_.planes, pixel, best.inverse_depth, active);
    scatter(m_.planes + size, pixel, best.slope_x, active);
    scatter(m_.planes + 2 * size, pixel, best.slope_y, active);
    scatter(totals_, pixel, lowest, active);
  }

  // In [-1, 1).
  static RECON_INLINE f32 random(i32 pixel, int sweep, int change, int number) {
    const u32 bits = random_bits((u32)pixel, static_cast<uint32_t>((sweep * 3 + change) * 3 + number));
    return to_float((i32)bits) * kRandomScale - 1.0f;
  }

  RECON_INLINE void look(int64_t y, i32 x, Window* window) const {
    const float* center = gray_.data() + (y + kPatchRadius) * stride_ + kPatchRadius;
    const f32 own = gather(center, x);
    f32 total{}, sum{}, squares{};
    for (int j = 0, k = 0; j < kPatchSide; ++j)
      for (int i = 0; i < kPatchSide; ++i, ++k) {
        const int dx = i * kPatchStep - kPatchRadius, dy = j * kPatchStep - kPatchRadius;
        const f32 value = gather(center + dy * stride_ + dx, x);
        const f32 difference = value - own;
        const f32 weight = exp(difference * difference * (-0.5f / (kPatchColorSigma * kPatchColorSigma)));
        // Relative to the centre: the variance then loses nothing to cancellation.
        window->weight[k] = weight;
        window->weighed[k] = weight * difference;
        total += weight;
        sum += weight * difference;
        squares += weight * difference * difference;
      }
    window->inverse_weight = 1.0f / total;
    window->mean = sum * window->inverse_weight;
    window->variance = max(squares * window->inverse_weight - window->mean * window->mean, splat(kPatchVarianceFloor));
  }

  // The lowest over sources of 1 - bilateral NCC, clipped like the sweep's.
  f32 cost(int64_t y, i32 x, const Plane& plane, const Window& window) const {
    f32 lowest = splat(kInfinite);
    for (int64_t source = 0; source < m_.source_count; ++source) {
      const float* p = m_.projections + source * 12;
      const float right = static_cast<float>(m_.source_sizes[source * 2] - 1);
      const float bottom = static_cast<float>(m_.source_sizes[source * 2 + 1] - 1);
      const int32_t stride = static_cast<int32_t>(m_.source_width);
      const int32_t* quads = quads_[source].data();
      const f32 u = to_float(x) + 0.5f;
      const float v = static_cast<float>(y) + 0.5f;
      f32 center[3], along_x[3], along_y[3];
      for (int row = 0; row < 3; ++row) {
        const float* line = p + row * 4;
        center[row] = u * line[0] + (line[1] * v + line[2]) + plane.inverse_depth * line[3];
        along_x[row] = plane.slope_x * line[3] + line[0];
        along_y[row] = plane.slope_y * line[3] + line[1];
      }
      const f32 center_x = center[0] / center[2] - 0.5f, center_y = center[1] / center[2] - 0.5f;
      const i32 inside = (center[2] > 1e-6f) & (center_x >= -0.5f) & (center_x <= right + 0.5f) & (center_y >= -0.5f) &
                         (center_y <= bottom + 0.5f);
      if (!any(inside)) continue;
      const i32 nearest = to_int(max(min(center_y + 0.5f, splat(bottom)), f32{})) * stride +
                          to_int(max(min(center_x + 0.5f, splat(right)), f32{}));
      const i32 seen = inside & ((gather(m_.sources + source * m_.source_width * m_.source_height, nearest) >> 30) != 0);

      f32 sum{}, squares{}, products{};
      for (int j = 0, k = 0; j < kPatchSide; ++j)
        for (int i = 0; i < kPatchSide; ++i, ++k) {
          const float dx = static_cast<float>(i * kPatchStep - kPatchRadius);
          const float dy = static_cast<float>(j * kPatchStep - kPatchRadius);
          const f32 inverse_z = 1.0f / (center[2] + along_x[2] * dx + along_y[2] * dy);
          const f32 px = (center[0] + along_x[0] * dx + along_y[0] * dy) * inverse_z - 0.5f;
          const f32 py = (center[1] + along_x[1] * dx + along_y[1] * dy) * inverse_z - 0.5f;
          const f32 sx = max(min(px, splat(right)), f32{}), sy = max(min(py, splat(bottom)), f32{});
          const i32 ix = to_int(min(sx, splat(right - 1.0f))), iy = to_int(min(sy, splat(bottom - 1.0f)));
          const i32 quad = gather(quads, iy * stride + ix);
          const f32 value = bilinear(to_float(quad & 255), to_float((quad >> 8) & 255), to_float((quad >> 16) & 255),
                                     to_float((i32)((u32)quad >> 24)), sx - to_float(ix), sy - to_float(iy)) *
                                (1.0f / 255.0f) - 0.5f;
          const f32 weighed = window.weight[k] * value;
          sum += weighed;
          squares += weighed * value;
          products += window.weighed[k] * value;
        }
      const f32 mean = sum * window.inverse_weight;
      const f32 variance = max(squares * window.inverse_weight - mean * mean, splat(kPatchVarianceFloor));
      const f32 covariance = products * window.inverse_weight - mean * window.mean;
      const f32 correlation = covariance / square_root(variance * window.variance);
      const f32 dissimilarity = min(max(1.0f - correlation, f32{}), splat(kCorrelationLimit));
      lowest = select(seen, min(lowest, dissimilarity), lowest);
    }
    return select(lowest < kInfinite, lowest, splat(kCorrelationLimit));
  }

  const PatchMatch& m_;
  const int64_t stride_;
  std::vector<float> gray_;
  std::vector<std::vector<int32_t>> quads_;
  float* totals_ = nullptr;
};

}  // namespace

void refine_planes(const PatchMatch& match) { Refiner(match).run(); }

}  // namespace recon::RECON_ISA
