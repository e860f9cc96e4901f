// Semi-global matching over eight directions, and the winner of the summed costs.
//
// Paths of one direction never meet, so blocks of them are independent tasks; all arithmetic is in integers, so the
// order in which directions and blocks add to the sum does not matter.
//
// Source: Hirschmueller, "Stereo processing by semiglobal matching and mutual information", 2008, equations 13 and 14.
#include "sweep/semi_global_cpu.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "cpu/pack_math.h"
#include "cpu/threads.h"
#include "math/sweep.h"
#include "sweep/gather.h"

namespace recon::RECON_ISA {
namespace {

using namespace recon::sweep;

#if defined(__AVX2__)
constexpr int kStep = 16;  // costs handled together
#else
constexpr int kStep = 8;
#endif
typedef uint16_t u16 __attribute__((vector_size(kStep * 2)));
typedef uint8_t bytes __attribute__((vector_size(kStep)));

constexpr int kPathsPerTask = 16;
constexpr uint16_t kInfinite = 60000;  // beyond any path cost, with room to add a penalty

RECON_INLINE u16 load_costs(const uint16_t* p) {
  u16 v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
RECON_INLINE void store_costs(uint16_t* p, u16 v) { std::memcpy(p, &v, sizeof v); }
RECON_INLINE u16 load_bytes(const uint8_t* p) {
  bytes v;
  std::memcpy(&v, p, sizeof v);
  return __builtin_convertvector(v, u16);
}
RECON_INLINE u16 least(u16 a, u16 b) { return a < b ? a : b; }

RECON_INLINE uint16_t least_lane(u16 v) {
#if defined(__SSE4_1__)
  __m128i parts[kStep / 8];
  std::memcpy(parts, &v, sizeof v);
  return static_cast<uint16_t>(_mm_extract_epi16(_mm_minpos_epu16(_mm_min_epu16(parts[0], parts[kStep / 8 - 1])), 0));
#else
  uint16_t lowest = v[0];
  for (int i = 1; i < kStep; ++i) lowest = std::min<uint16_t>(lowest, v[i]);
  return lowest;
#endif
}

// The path costs at the previous and at the current pixel of one path, with a guard on both sides.
class Path {
 public:
  explicit Path(int64_t planes) : planes_(planes), data_(2 * (planes + 2 * kStep), kInfinite) {}

  // Moves on to the next pixel and adds its path costs to `sum` (or writes them).
  template <bool kWrite>
  RECON_INLINE void advance(const uint8_t* costs, uint16_t* sum, bool start, int small, int large) {
    const uint16_t* before = data_.data() + active_ * (planes_ + 2 * kStep) + kStep;
    active_ ^= 1;
    uint16_t* now = data_.data() + active_ * (planes_ + 2 * kStep) + kStep;
    u16 lowest = u16{} + kInfinite;
    if (start) {
      for (int64_t plane = 0; plane < planes_; plane += kStep) {
        const u16 total = load_bytes(costs + plane);
        store_costs(now + plane, total);
        store_costs(sum + plane, kWrite ? total : load_costs(sum + plane) + total);
        lowest = least(lowest, total);
      }
    } else {
      const u16 small_penalty = u16{} + static_cast<uint16_t>(small);
      const u16 floor = u16{} + lowest_;
      const u16 jump = u16{} + static_cast<uint16_t>(lowest_ + large);
      for (int64_t plane = 0; plane < planes_; plane += kStep) {
        const u16 step = least(load_costs(before + plane - 1), load_costs(before + plane + 1)) + small_penalty;
        const u16 path = least(least(load_costs(before + plane), jump), step);
        const u16 total = load_bytes(costs + plane) + (path - floor);
        store_costs(now + plane, total);
        store_costs(sum + plane, kWrite ? total : load_costs(sum + plane) + total);
        lowest = least(lowest, total);
      }
    }
    lowest_ = least_lane(lowest);
  }

 private:
  int64_t planes_;
  std::vector<uint16_t> data_;
  int active_ = 0;
  uint16_t lowest_ = 0;
};

int penalty(const SemiGlobal& m, int64_t pixel, int64_t previous) {
  return m.large_penalties[std::abs(int(m.gray[pixel]) - int(m.gray[previous]))];
}

// Left to right (which writes the sum), then right to left.
void horizontal(const SemiGlobal& m, uint16_t* sum) {
  parallel_ranges(m.height, 8, [&](int64_t begin, int64_t end) {
    Path path(m.planes);
    for (int64_t y = begin; y < end; ++y) {
      const int64_t row = y * m.width;
      for (int64_t x = 0; x < m.width; ++x) {
        const int64_t pixel = row + x;
        path.advance<true>(m.volume + pixel * m.planes, sum + pixel * m.planes, x == 0, m.small_penalty,
                           x == 0 ? 0 : penalty(m, pixel, pixel - 1));
      }
      for (int64_t x = m.width - 1; x >= 0; --x) {
        const int64_t pixel = row + x;
        const bool start = x == m.width - 1;
        path.advance<false>(m.volume + pixel * m.planes, sum + pixel * m.planes, start, m.small_penalty,
                            start ? 0 : penalty(m, pixel, pixel + 1));
      }
    }
  });
}

// Paths that move one row per step, down or up, and `slope` columns.
void vertical(const SemiGlobal& m, uint16_t* sum, bool down, int slope) {
  // A path is named by the column that it has (or would have) in its first row.
  const int64_t first = slope > 0 ? -(m.height - 1) : 0;
  const int64_t last = slope < 0 ? m.width + m.height - 1 : m.width;
  parallel_ranges(last - first, kPathsPerTask, [&](int64_t begin, int64_t end) {
    std::vector<Path> paths(end - begin, Path(m.planes));
    for (int64_t step = 0; step < m.height; ++step) {
      const int64_t y = down ? step : m.height - 1 - step;
      const int64_t shift = first + slope * step;
      const int64_t left = std::max<int64_t>(begin, -shift), right = std::min<int64_t>(end, m.width - shift);
      for (int64_t path = left; path < right; ++path) {
        const int64_t x = path + shift;
        const int64_t pixel = y * m.width + x;
        const bool start = step == 0 || x - slope < 0 || x - slope >= m.width;
        const int64_t previous = pixel - slope - (down ? m.width : -m.width);
        paths[path - begin].advance<false>(m.volume + pixel * m.planes, sum + pixel * m.planes, start,
                                           m.small_penalty, start ? 0 : penalty(m, pixel, previous));
      }
    }
  });
}

void pick(const SemiGlobal& m, const uint16_t* sums) {
  parallel_ranges(m.width * m.height, 1024, [&](int64_t begin, int64_t end) {
    for (int64_t pixel = begin; pixel < end; ++pixel) {
      const uint16_t* sum = sums + pixel * m.planes;
      u16 lowest = load_costs(sum);
      for (int64_t plane = kStep; plane < m.planes; plane += kStep) lowest = least(lowest, load_costs(sum + plane));
      const uint16_t best = least_lane(lowest);
      int64_t winner = 0;
      while (sum[winner] != best) ++winner;

      uint16_t other = kInfinite;
      u16 others = u16{} + kInfinite;
      for (int64_t plane = 0; plane < m.planes; plane += kStep) {
        if (plane + kStep <= winner - kPeakRadius || plane > winner + kPeakRadius) {
          others = least(others, load_costs(sum + plane));
        } else {
          for (int64_t i = plane; i < plane + kStep; ++i)
            if (std::abs(i - winner) > kPeakRadius) other = std::min(other, sum[i]);
        }
      }
      float offset = 0.0f;
      if (winner > 0 && winner + 1 < m.planes)
        offset = parabola_offset(float(sum[winner - 1]), float(best), float(sum[winner + 1]));
      m.index[pixel] = float(winner) + offset;
      m.best[pixel] = best;
      m.runner_up[pixel] = std::min(other, least_lane(others));
    }
  });
}

}  // namespace

void semi_global_matching(const SemiGlobal& m) {
  // Left uninitialised: the first direction writes every entry.
  const std::unique_ptr<uint16_t[]> sum(new uint16_t[m.width * m.height * m.planes]);
  horizontal(m, sum.get());
  for (const bool down : {true, false})
    for (const int slope : {0, 1, -1}) vertical(m, sum.get(), down, slope);
  pick(m, sum.get());
}

}  // namespace recon::RECON_ISA
