// Semi-global matching: a warp follows one path, its lanes hold the planes. Paths of one direction never meet, and all
// arithmetic is in integers, so the result equals the CPU's bit for bit.
//
// Source: Hirschmueller, "Stereo processing by semiglobal matching and mutual information", 2008, equations 13 and 14.
#include <stdexcept>

#include "device/launch.h"
#include "math/sweep.h"
#include "sweep/sweep_cuda.h"

namespace recon::device {
namespace {

using namespace recon::sweep;

constexpr int kThreads = 128;
constexpr int kInfinite = 60000;  // beyond any path cost
constexpr int kMaxPlanes = 1024;

__device__ __forceinline__ int warp_min(int value) {
  for (int bits = kWarp / 2; bits > 0; bits /= 2) value = min(value, __shfl_xor_sync(kAllLanes, value, bits));
  return value;
}

struct Direction {
  int x, y;
};

// Paths of a direction: along a row or column one each; along a diagonal one for every pixel of two sides.
__device__ __host__ __forceinline__ int path_count(Direction d, int width, int height) {
  return d.y == 0 ? height : d.x == 0 ? width : width + height - 1;
}

// kPerLane neighbouring planes per lane; the first direction writes the sums, the others add to them.
template <int kPerLane>
__global__ void __launch_bounds__(kThreads)
    path_kernel(SemiGlobal m, Direction d, bool write, uint16_t* __restrict__ sums) {
  const int lane = threadIdx.x % kWarp, path = (blockIdx.x * kThreads + threadIdx.x) / kWarp;
  const int width = static_cast<int>(m.width), height = static_cast<int>(m.height), planes = static_cast<int>(m.planes);
  if (path >= path_count(d, width, height)) return;  // whole warps
  int x, y;
  if (d.y == 0) {
    x = d.x > 0 ? 0 : width - 1;
    y = path;
  } else {
    x = path < width ? path : d.x > 0 ? 0 : width - 1;
    y = (d.y > 0 ? 0 : height - 1) + (path < width ? 0 : d.y * (path - width + 1));
  }

  int before[kPerLane];
  int lowest = 0, last_gray = 0;
  for (bool start = true; x >= 0 && x < width && y >= 0 && y < height; x += d.x, y += d.y, start = false) {
    const int64_t pixel = static_cast<int64_t>(y) * width + x;
    const int gray = m.gray[pixel], step = gray - last_gray;
    const int jump = start ? 0 : lowest + m.large_penalties[step < 0 ? -step : step];
    last_gray = gray;
    const int left = __shfl_up_sync(kAllLanes, start ? 0 : before[kPerLane - 1], 1);
    const int right = __shfl_down_sync(kAllLanes, start ? 0 : before[0], 1);
    int now[kPerLane], now_lowest = kInfinite;
#pragma unroll
    for (int k = 0; k < kPerLane; ++k) {
      const int plane = lane * kPerLane + k;
      now[k] = kInfinite;
      if (plane >= planes) continue;
      int total = m.volume[pixel * planes + plane];
      if (!start) {
        const int lower = k > 0 ? before[k > 0 ? k - 1 : 0] : lane > 0 ? left : kInfinite;
        const int upper = k + 1 < kPerLane ? before[k + 1 < kPerLane ? k + 1 : 0] : lane + 1 < kWarp ? right : kInfinite;
        total += min(min(before[k], jump), min(lower, upper) + m.small_penalty) - lowest;
      }
      now[k] = total;
      now_lowest = min(now_lowest, total);
      uint16_t* sum = sums + pixel * planes + plane;
      *sum = static_cast<uint16_t>(write ? total : *sum + total);
    }
#pragma unroll
    for (int k = 0; k < kPerLane; ++k) before[k] = now[k];
    lowest = warp_min(now_lowest);
  }
}

// One warp per pixel: the winner with its parabola, and the best away from it.
__global__ void __launch_bounds__(kThreads) pick_kernel(SemiGlobal m, const uint16_t* __restrict__ sums) {
  const int64_t pixel = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) / kWarp;
  if (pixel >= m.width * m.height) return;  // whole warps
  const int lane = threadIdx.x % kWarp, planes = static_cast<int>(m.planes);
  const uint16_t* sum = sums + pixel * planes;
  constexpr int kPlaneBits = 10;
  static_assert(1 << kPlaneBits == kMaxPlanes);
  int least = kInfinite << kPlaneBits;  // cost and plane in one: the first of equal costs wins
  for (int plane = lane; plane < planes; plane += kWarp) least = min(least, int{sum[plane]} << kPlaneBits | plane);
  least = warp_min(least);
  const int winner = least & (kMaxPlanes - 1), best = least >> kPlaneBits;
  int other = kInfinite;
  for (int plane = lane; plane < planes; plane += kWarp)
    if (plane < winner - kPeakRadius || plane > winner + kPeakRadius) other = min(other, int{sum[plane]});
  other = warp_min(other);
  if (lane != 0) return;
  float offset = 0.0f;
  if (winner > 0 && winner + 1 < planes)
    offset = parabola_offset(static_cast<float>(sum[winner - 1]), static_cast<float>(best),
                             static_cast<float>(sum[winner + 1]));
  m.index[pixel] = static_cast<float>(winner) + offset;
  m.best[pixel] = static_cast<float>(best);
  m.runner_up[pixel] = static_cast<float>(other);
}

}  // namespace

void semi_global_matching(const SemiGlobal& m, void* stream, const Allocate& scratch) {
  if (m.planes > kMaxPlanes)
    throw std::invalid_argument("semi_global_matching on CUDA takes at most " + std::to_string(kMaxPlanes) +
                                " planes, got " + std::to_string(m.planes));
  auto* sums = allocate<uint16_t>(scratch, static_cast<size_t>(m.width * m.height * m.planes));
  const auto kernel = m.planes <= 128 ? path_kernel<4> : m.planes <= 256 ? path_kernel<8> : path_kernel<32>;
  const Direction directions[8] = {{1, 0}, {-1, 0}, {0, 1}, {1, 1}, {-1, 1}, {0, -1}, {1, -1}, {-1, -1}};
  for (int i = 0; i < 8; ++i) {
    const int paths = path_count(directions[i], static_cast<int>(m.width), static_cast<int>(m.height));
    launch(kernel, dim3(blocks_for(paths, kThreads / kWarp)), dim3(kThreads), stream, m, directions[i], i == 0, sums);
  }
  launch(pick_kernel, dim3(blocks_for(m.width * m.height, kThreads / kWarp)), dim3(kThreads), stream, m, sums);
}

}  // namespace recon::device
