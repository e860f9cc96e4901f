// Slanted-plane PatchMatch: one thread per pixel of one colour of the checkerboard. Pixels of one colour only read
// planes of the other, and random changes depend on the pixel's number, so the result is the same on every run.
// Sources: see patchmatch_cpu.cpp.
#include "device/launch.h"
#include "math/sweep.h"
#include "sweep/sweep_cuda.h"

namespace recon::device {
namespace {

using namespace recon::sweep;

constexpr int kThreads = 128;
constexpr float kInfinite = 1e30f;

struct Plane {
  float inverse_depth, slope_x, slope_y;
};

// The reference window of a pixel: weights and weighed grey, and their moments.
struct Window {
  float weight[kPatchSamples], weighed[kPatchSamples];
  float inverse_weight, mean, variance;
};

struct Search {
  PatchMatch m;
  const float* gray;      // [height, width] of the reference
  const int32_t* quads;   // [source_count, source_height, source_width] grey of four neighbours, 8 bits each
  float* totals;          // [height, width] cost of the plane, with the holding term
};

__device__ __forceinline__ float level(int32_t pixel) {
  return luma(static_cast<float>((pixel >> 20) & 1023), static_cast<float>((pixel >> 10) & 1023),
              static_cast<float>(pixel & 1023));
}

__global__ void __launch_bounds__(kThreads)
    gray_kernel(const int32_t* __restrict__ pixels, int64_t count, float* __restrict__ gray) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i < count) gray[i] = level(pixels[i]) * kColorScale;
}

// One fetch then gives the four pixels of a bilinear sample.
__global__ void __launch_bounds__(kThreads)
    quad_kernel(const int32_t* __restrict__ pixels, int width, int height, int64_t count, int32_t* __restrict__ quads) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= count) return;
  const int x = static_cast<int>(i % width), y = static_cast<int>(i / width % height);
  const int64_t right = x + 1 < width ? 1 : 0, below = y + 1 < height ? width : 0;
  const auto byte = [&](int64_t at) {
    return static_cast<uint32_t>(level(pixels[at]) * (255.0f * kColorScale) + 0.5f);
  };
  quads[i] = static_cast<int32_t>(byte(i) | byte(i + right) << 8 | byte(i + below) << 16 | byte(i + below + right) << 24);
}

__device__ void look(const Search& s, int x, int y, Window& window) {
  const int width = static_cast<int>(s.m.width), height = static_cast<int>(s.m.height);
  const float own = s.gray[static_cast<int64_t>(y) * width + x];
  float total = 0.0f, sum = 0.0f, squares = 0.0f;
  for (int k = 0; k < kPatchSamples; ++k) {
    const int column = min(max(x + k % kPatchSide * kPatchStep - kPatchRadius, 0), width - 1);
    const int row = min(max(y + k / kPatchSide * kPatchStep - kPatchRadius, 0), height - 1);
    // Relative to the centre: the variance then loses nothing to cancellation.
    const float difference = s.gray[static_cast<int64_t>(row) * width + column] - own;
    const float weight = expf(difference * difference * (-0.5f / (kPatchColorSigma * kPatchColorSigma)));
    window.weight[k] = weight;
    window.weighed[k] = weight * difference;
    total += weight;
    sum += weight * difference;
    squares += weight * difference * difference;
  }
  window.inverse_weight = 1.0f / total;
  window.mean = sum * window.inverse_weight;
  window.variance = fmaxf(squares * window.inverse_weight - window.mean * window.mean, kPatchVarianceFloor);
}

// 1 - bilateral NCC with one source, or kInfinite where it does not see the pixel.
__device__ float source_cost(const Search& s, int source, int x, int y, const Plane& plane, const Window& window) {
  const PatchMatch& m = s.m;
  const float* p = m.projections + source * 12;
  const int64_t first = source * m.source_width * m.source_height;
  const float right = static_cast<float>(m.source_sizes[2 * source] - 1);
  const float bottom = static_cast<float>(m.source_sizes[2 * source + 1] - 1);
  const int stride = static_cast<int>(m.source_width);
  const float u = static_cast<float>(x) + 0.5f, v = static_cast<float>(y) + 0.5f;
  float center[3], along_x[3], along_y[3];
#pragma unroll
  for (int row = 0; row < 3; ++row) {
    const float* line = p + 4 * row;
    center[row] = u * line[0] + (line[1] * v + line[2]) + plane.inverse_depth * line[3];
    along_x[row] = plane.slope_x * line[3] + line[0];
    along_y[row] = plane.slope_y * line[3] + line[1];
  }
  const float center_x = center[0] / center[2] - 0.5f, center_y = center[1] / center[2] - 0.5f;
  if (!(center[2] > 1e-6f && center_x >= -0.5f && center_x <= right + 0.5f && center_y >= -0.5f &&
        center_y <= bottom + 0.5f))
    return kInfinite;
  const int nearest = static_cast<int>(fmaxf(fminf(center_y + 0.5f, bottom), 0.0f)) * stride +
                      static_cast<int>(fmaxf(fminf(center_x + 0.5f, right), 0.0f));
  if (m.sources[first + nearest] >> 30 == 0) return kInfinite;

  float sum = 0.0f, squares = 0.0f, products = 0.0f;
  for (int k = 0; k < kPatchSamples; ++k) {
    const float dx = static_cast<float>(k % kPatchSide * kPatchStep - kPatchRadius);
    const float dy = static_cast<float>(k / kPatchSide * kPatchStep - kPatchRadius);
    const float inverse_z = 1.0f / (center[2] + along_x[2] * dx + along_y[2] * dy);
    const float px = (center[0] + along_x[0] * dx + along_y[0] * dy) * inverse_z - 0.5f;
    const float py = (center[1] + along_x[1] * dx + along_y[1] * dy) * inverse_z - 0.5f;
    const float sx = fmaxf(fminf(px, right), 0.0f), sy = fmaxf(fminf(py, bottom), 0.0f);
    const int ix = static_cast<int>(fminf(sx, right - 1.0f)), iy = static_cast<int>(fminf(sy, bottom - 1.0f));
    const uint32_t quad = static_cast<uint32_t>(s.quads[first + iy * stride + ix]);
    const float value = bilinear(static_cast<float>(quad & 255), static_cast<float>(quad >> 8 & 255),
                                 static_cast<float>(quad >> 16 & 255), static_cast<float>(quad >> 24),
                                 sx - static_cast<float>(ix), sy - static_cast<float>(iy)) *
                            (1.0f / 255.0f) -
                        0.5f;
    const float weighed = window.weight[k] * value;
    sum += weighed;
    squares += weighed * value;
    products += window.weighed[k] * value;
  }
  const float mean = sum * window.inverse_weight;
  const float variance = fmaxf(squares * window.inverse_weight - mean * mean, kPatchVarianceFloor);
  const float covariance = products * window.inverse_weight - mean * window.mean;
  return fminf(fmaxf(1.0f - covariance / sqrtf(variance * window.variance), 0.0f), kCorrelationLimit);
}

__device__ float likeness_cost(const Search& s, int x, int y, const Plane& plane, const Window& window) {
  float lowest = kInfinite;
  for (int source = 0; source < s.m.source_count; ++source)
    lowest = fminf(lowest, source_cost(s, source, x, y, plane, window));
  return lowest < kInfinite ? lowest : kCorrelationLimit;
}

// The relative change of depth is that of the inverse depth, seen from the new depth.
__device__ __forceinline__ float hold(const PatchMatch& m, float inverse_depth, float start) {
  return fabsf(inverse_depth - start) / fmaxf(inverse_depth, 1e-20f) * (m.holding / kHoldingDeviation);
}

// In [-1, 1).
__device__ __forceinline__ float random(int64_t pixel, int sweep, int change, int number) {
  const uint32_t draw = static_cast<uint32_t>((sweep * 3 + change) * 3 + number);
  return static_cast<float>(random_bits(static_cast<uint32_t>(pixel), draw)) * kRandomScale - 1.0f;
}

struct Place {
  int x, y;
  int64_t pixel;
  bool active;
};

// The thread's pixel among those of `color`.
__device__ __forceinline__ Place place(const PatchMatch& m, int color) {
  const int columns = static_cast<int>(m.width + 1) / 2;
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  Place p;
  p.y = static_cast<int>(i / columns);
  p.x = static_cast<int>(i % columns) * 2 + ((p.y + color) & 1);
  p.pixel = static_cast<int64_t>(p.y) * m.width + p.x;
  p.active = p.y < m.height && p.x < m.width && m.inverse_depths[p.pixel] > 0.0f;
  return p;
}

__device__ __forceinline__ Plane plane_at(const PatchMatch& m, int64_t pixel) {
  const int64_t size = m.width * m.height;
  return {m.planes[pixel], m.planes[size + pixel], m.planes[2 * size + pixel]};
}

__global__ void __launch_bounds__(kThreads) start_kernel(Search s, int color) {
  const Place at = place(s.m, color);
  if (!at.active) return;
  Window window;
  look(s, at.x, at.y, window);
  const Plane plane = plane_at(s.m, at.pixel);
  s.totals[at.pixel] = likeness_cost(s, at.x, at.y, plane, window) +
                       hold(s.m, plane.inverse_depth, s.m.inverse_depths[at.pixel]);
}

__global__ void __launch_bounds__(kThreads) improve_kernel(Search s, int color, int sweep) {
  const PatchMatch& m = s.m;
  const Place at = place(m, color);
  if (!at.active) return;
  Window window;
  look(s, at.x, at.y, window);
  const float begin = m.inverse_depths[at.pixel];
  Plane best = plane_at(m, at.pixel);
  float lowest = s.totals[at.pixel];
  const auto attempt = [&](const Plane& plane) {
    const float total = likeness_cost(s, at.x, at.y, plane, window) + hold(m, plane.inverse_depth, begin);
    if (!(total < lowest)) return;
    lowest = total;
    best = plane;
  };

  for (int k = 0; k < 4; ++k) {
    const int dx = k == 0 ? -1 : k == 1 ? 1 : 0, dy = k == 2 ? -1 : k == 3 ? 1 : 0;
    const int column = at.x + dx, row = at.y + dy;
    if (column < 0 || column >= m.width || row < 0 || row >= m.height) continue;
    Plane plane = plane_at(m, static_cast<int64_t>(row) * m.width + column);
    if (!(plane.inverse_depth > 0.0f)) continue;
    plane.inverse_depth -= plane.slope_x * static_cast<float>(dx) + plane.slope_y * static_cast<float>(dy);
    if (plane.inverse_depth > 0.0f) attempt(plane);
  }

  // Random changes: of depth, of slant, of both. A slant of 45 degrees changes the depth by depth / focal per pixel.
  const float step = m.depth_step / static_cast<float>(1 << sweep);
  const float slant = 1.0f / static_cast<float>(1 << sweep) / m.focal;
  for (int change = 0; change < 3; ++change) {
    Plane plane = best;
    if (change != 1) plane.inverse_depth += plane.inverse_depth * random(at.pixel, sweep, change, 0) * step;
    if (change != 0) {
      plane.slope_x += best.inverse_depth * random(at.pixel, sweep, change, 1) * slant;
      plane.slope_y += best.inverse_depth * random(at.pixel, sweep, change, 2) * slant;
    }
    attempt(plane);
  }

  const int64_t size = m.width * m.height;
  m.planes[at.pixel] = best.inverse_depth;
  m.planes[size + at.pixel] = best.slope_x;
  m.planes[2 * size + at.pixel] = best.slope_y;
  s.totals[at.pixel] = lowest;
}

// What remains in `costs` is the likeness alone.
__global__ void __launch_bounds__(kThreads) finish_kernel(Search s) {
  const int64_t pixel = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (pixel >= s.m.width * s.m.height) return;
  const float start = s.m.inverse_depths[pixel];
  if (start > 0.0f) s.m.costs[pixel] = s.totals[pixel] - hold(s.m, s.m.planes[pixel], start);
}

}  // namespace

void refine_planes(const PatchMatch& match, void* stream, const Allocate& scratch) {
  const int64_t pixels = match.width * match.height;
  const int64_t source_pixels = match.source_count * match.source_width * match.source_height;
  auto* gray = allocate<float>(scratch, static_cast<size_t>(pixels));
  auto* quads = allocate<int32_t>(scratch, static_cast<size_t>(source_pixels));
  const Search search = {match, gray, quads, allocate<float>(scratch, static_cast<size_t>(pixels))};
  const dim3 block(kThreads), per_pixel(blocks_for(pixels, kThreads));
  const dim3 per_color(blocks_for((match.width + 1) / 2 * match.height, kThreads));
  launch(gray_kernel, per_pixel, block, stream, match.reference, pixels, gray);
  launch(quad_kernel, dim3(blocks_for(source_pixels, kThreads)), block, stream, match.sources,
         static_cast<int>(match.source_width), static_cast<int>(match.source_height), source_pixels, quads);
  for (int color = 0; color < 2; ++color) launch(start_kernel, per_color, block, stream, search, color);
  for (int sweep = 0; sweep < match.sweeps; ++sweep)
    for (int color = 0; color < 2; ++color)
      launch(improve_kernel, per_color, block, stream, search, color, sweep);
  launch(finish_kernel, per_pixel, block, stream, search);
}

}  // namespace recon::device
