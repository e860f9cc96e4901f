// The plane-sweep cost volume: a block warps the sources onto sixteen planes for a tile of pixels, one after the other,
// and keeps what the windows need in shared memory.
#include "device/launch.h"
#include "math/sweep.h"
#include "sweep/sweep_cuda.h"

namespace recon::device {
namespace {

using namespace recon::sweep;

constexpr int kTileWidth = 32, kTileHeight = 8;  // one thread per pixel
constexpr int kThreads = kTileWidth * kTileHeight;
constexpr int kPlanes = 16;  // per block
constexpr int kHalo = kCorrelationRadius;
constexpr int kWideWidth = kTileWidth + 2 * kHalo, kWideHeight = kTileHeight + 2 * kHalo;
constexpr float kSkipped = 1e30f;  // marks a source that does not see the pixel

struct Color {
  float red, green, blue;
};

__device__ __forceinline__ Color unpack(int32_t pixel) {
  return {static_cast<float>((pixel >> 20) & 1023) * kColorScale, static_cast<float>((pixel >> 10) & 1023) * kColorScale,
          static_cast<float>(pixel & 1023) * kColorScale};
}

// Centred on mid-grey: the variances below then lose less to cancellation.
__device__ __forceinline__ float centred_gray(const Color& c) { return luma(c.red, c.green, c.blue) - 0.5f; }

__device__ __forceinline__ int clamp_index(int i, int size) { return min(max(i, 0), size - 1); }

// Positions of the window around `center` that lie in the picture.
__device__ __forceinline__ int count_inside(int center, int radius, int size) {
  return min(center + radius, size - 1) - max(center - radius, 0) + 1;
}

// Mean and 1 / standard deviation of the reference's windows.
__global__ void __launch_bounds__(kThreads)
    statistics_kernel(const int32_t* __restrict__ reference, int width, int height, float2* __restrict__ statistics) {
  const int x = blockIdx.x * kTileWidth + threadIdx.x % kTileWidth, y = blockIdx.y * kTileHeight + threadIdx.x / kTileWidth;
  if (x >= width || y >= height) return;
  float sum = 0.0f, squares = 0.0f;
  for (int j = max(y - kHalo, 0); j <= min(y + kHalo, height - 1); ++j)
    for (int i = max(x - kHalo, 0); i <= min(x + kHalo, width - 1); ++i) {
      const float value = centred_gray(unpack(reference[static_cast<int64_t>(j) * width + i]));
      sum += value;
      squares += value * value;
    }
  const float count = static_cast<float>(count_inside(x, kHalo, width) * count_inside(y, kHalo, height));
  const float mean = sum / count, variance = squares / count - mean * mean;
  statistics[static_cast<int64_t>(y) * width + x] = make_float2(mean, 1.0f / sqrtf(fmaxf(variance, kVarianceFloor)));
}

struct Sample {
  Color color;
  float term;  // what the source's surface says, kSkipped where the point is not seen
};

__device__ __forceinline__ Sample sample_source(const PlaneSweep& s, int source, float inverse_depth, int x, int y) {
  const float* p = s.projections + source * 12;
  const int64_t first = source * s.source_width * s.source_height;
  const int32_t* pixels = s.sources + first;
  const float right = static_cast<float>(s.source_sizes[2 * source] - 1);
  const float bottom = static_cast<float>(s.source_sizes[2 * source + 1] - 1);
  const int stride = static_cast<int>(s.source_width);
  const float u = static_cast<float>(x) + 0.5f, v = static_cast<float>(y) + 0.5f;
  const float z = u * p[8] + (p[9] * v + p[10] + p[11] * inverse_depth), inverse_z = 1.0f / z;
  const float px = (u * p[0] + (p[1] * v + p[2] + p[3] * inverse_depth)) * inverse_z - 0.5f;
  const float py = (u * p[4] + (p[5] * v + p[6] + p[7] * inverse_depth)) * inverse_z - 0.5f;
  const float sx = fmaxf(fminf(px, right), 0.0f), sy = fmaxf(fminf(py, bottom), 0.0f);
  // The cell's corner stays one inside, so that its right and lower neighbours exist.
  const int ix = static_cast<int>(fminf(sx, right - 1.0f)), iy = static_cast<int>(fminf(sy, bottom - 1.0f));
  const float fx = sx - static_cast<float>(ix), fy = sy - static_cast<float>(iy);
  const int32_t* corner = pixels + iy * stride + ix;
  const int32_t pixel00 = corner[0], pixel01 = corner[1], pixel10 = corner[stride], pixel11 = corner[stride + 1];
  const Color a = unpack(pixel00), b = unpack(pixel01), c = unpack(pixel10), d = unpack(pixel11);

  Sample sample;
  sample.color = {bilinear(a.red, b.red, c.red, d.red, fx, fy), bilinear(a.green, b.green, c.green, d.green, fx, fy),
                  bilinear(a.blue, b.blue, c.blue, d.blue, fx, fy)};
  const bool seen = (pixel00 & pixel01 & pixel10 & pixel11) >> 30 != 0 && z > 1e-6f && px >= -0.5f &&
                    px <= right + 0.5f && py >= -0.5f && py <= bottom + 0.5f;
  sample.term = seen ? 0.0f : kSkipped;
  if (seen && s.source_depths != nullptr) {
    const float known =
        s.source_depths[first + static_cast<int>(sy + 0.5f) * stride + static_cast<int>(sx + 0.5f)];
    const float depth = z / inverse_depth;
    if (known > 0.0f) sample.term = known < depth * kOccluded ? kSkipped : surface_term(known, depth);
  }
  return sample;
}

struct TileSums {
  float reference[kWideHeight][kWideWidth];   // grey of the reference picture, 0 outside it
  float gray[kWideHeight][kWideWidth];        // of the warped source
  float difference[kWideHeight][kWideWidth];  // of colours and gradients, 0 outside the picture
  float term[kTileHeight][kTileWidth];
  float columns[4][kTileHeight][kWideWidth];  // sums down the windows' columns: x, x x, x reference, difference
};

// The cost of one source at one plane for the thread's pixel. All threads of the block take part.
__device__ float source_cost(const PlaneSweep& s, const float2* __restrict__ statistics, TileSums& t, int source,
                             float inverse_depth, int left, int top, float* term) {
  const int width = static_cast<int>(s.width), height = static_cast<int>(s.height);
  for (int i = threadIdx.x; i < kWideWidth * kWideHeight; i += kThreads) {
    const int column = i % kWideWidth, row = i / kWideWidth, x = left + column - kHalo, y = top + row - kHalo;
    float gray = 0.0f, difference = 0.0f;
    if (x >= 0 && x < width && y >= 0 && y < height) {
      const Sample sample = sample_source(s, source, inverse_depth, x, y);
      const Color own = unpack(s.reference[static_cast<int64_t>(y) * width + x]);
      gray = centred_gray(sample.color);
      difference = color_difference(own.red, own.green, own.blue, sample.color.red, sample.color.green,
                                    sample.color.blue);
      const int own_column = column - kHalo, own_row = row - kHalo;
      if (own_column >= 0 && own_column < kTileWidth && own_row >= 0 && own_row < kTileHeight)
        t.term[own_row][own_column] = sample.term;
    }
    t.gray[row][column] = gray;
    t.difference[row][column] = difference;
  }
  __syncthreads();
  // Gradients need the neighbours, so they come in a second pass, one ring narrower.
  for (int i = threadIdx.x; i < (kWideWidth - 2) * (kWideHeight - 2); i += kThreads) {
    const int column = i % (kWideWidth - 2) + 1, row = i / (kWideWidth - 2) + 1;
    const int x = left + column - kHalo, y = top + row - kHalo;
    if (x < 0 || x >= width || y < 0 || y >= height) continue;
    const int before_x = clamp_index(x - 1, width) - x + column, after_x = clamp_index(x + 1, width) - x + column;
    const int before_y = clamp_index(y - 1, height) - y + row, after_y = clamp_index(y + 1, height) - y + row;
    const float dx = (t.gray[row][after_x] - t.gray[row][before_x]) * 0.5f;
    const float dy = (t.gray[after_y][column] - t.gray[before_y][column]) * 0.5f;
    const float own_dx = (t.reference[row][after_x] - t.reference[row][before_x]) * 0.5f;
    const float own_dy = (t.reference[after_y][column] - t.reference[before_y][column]) * 0.5f;
    t.difference[row][column] += gradient_difference(dx, dy, own_dx, own_dy);
  }
  __syncthreads();
  for (int i = threadIdx.x; i < kWideWidth * kTileHeight; i += kThreads) {
    const int column = i % kWideWidth, row = i / kWideWidth;
    float sum = 0.0f, squares = 0.0f, products = 0.0f, differences = 0.0f;
#pragma unroll
    for (int j = 0; j <= 2 * kHalo; ++j) {
      const float value = t.gray[row + j][column];
      sum += value;
      squares += value * value;
      products += value * t.reference[row + j][column];
      if (j >= kHalo - kDifferenceRadius && j <= kHalo + kDifferenceRadius) differences += t.difference[row + j][column];
    }
    t.columns[0][row][column] = sum;
    t.columns[1][row][column] = squares;
    t.columns[2][row][column] = products;
    t.columns[3][row][column] = differences;
  }
  __syncthreads();

  const int column = threadIdx.x % kTileWidth, row = threadIdx.x / kTileWidth, x = left + column, y = top + row;
  if (x >= width || y >= height) return kSkipped;
  float sum = 0.0f, squares = 0.0f, products = 0.0f, differences = 0.0f;
#pragma unroll
  for (int i = 0; i <= 2 * kHalo; ++i) {
    sum += t.columns[0][row][column + i];
    squares += t.columns[1][row][column + i];
    products += t.columns[2][row][column + i];
    if (i >= kHalo - kDifferenceRadius && i <= kHalo + kDifferenceRadius) differences += t.columns[3][row][column + i];
  }
  const float2 own = statistics[static_cast<int64_t>(y) * width + x];
  const float inverse_7 = 1.0f / static_cast<float>(count_inside(x, kHalo, width) * count_inside(y, kHalo, height));
  const float inverse_5 = 1.0f / static_cast<float>(count_inside(x, kDifferenceRadius, width) *
                                                    count_inside(y, kDifferenceRadius, height));
  const float mean = sum * inverse_7, variance = squares * inverse_7 - mean * mean;
  const float covariance = products * inverse_7 - mean * own.x;
  const float correlation = covariance * own.y / sqrtf(fmaxf(variance, kVarianceFloor));
  *term = t.term[row][column];
  return matching_cost(correlation, differences * inverse_5) + *term;
}

__global__ void __launch_bounds__(kThreads)
    sweep_kernel(PlaneSweep s, const float2* __restrict__ statistics) {
  __shared__ TileSums tile;
  const int width = static_cast<int>(s.width), height = static_cast<int>(s.height);
  const int left = blockIdx.x * kTileWidth, top = blockIdx.y * kTileHeight;
  const int x = left + threadIdx.x % kTileWidth, y = top + threadIdx.x / kTileWidth;
  for (int i = threadIdx.x; i < kWideWidth * kWideHeight; i += kThreads) {
    const int column = left + i % kWideWidth - kHalo, row = top + i / kWideWidth - kHalo;
    const bool inside = column >= 0 && column < width && row >= 0 && row < height;
    tile.reference[i / kWideWidth][i % kWideWidth] =
        inside ? centred_gray(unpack(s.reference[static_cast<int64_t>(row) * width + column])) : 0.0f;
  }
  const int first_plane = blockIdx.z * kPlanes;
  uint32_t four_costs = 0;
  for (int plane = first_plane; plane < first_plane + kPlanes; ++plane) {
    float lowest = kSkipped, sum = 0.0f, count = 0.0f;
    for (int source = 0; source < s.source_count; ++source) {
      __syncthreads();  // the last source's sums have been read
      float term = kSkipped;
      const float cost = source_cost(s, statistics, tile, source, s.inverse_depths[plane], left, top, &term);
      lowest = fminf(lowest, cost);
      sum += term < 1.0f ? cost : 0.0f;
      count += term < 1.0f ? 1.0f : 0.0f;
    }
    const float cost = combined_cost(lowest, sum, count, s.lowest_weight);
    four_costs |= static_cast<uint32_t>(fminf(cost * kCostLevels + 0.5f, 255.0f)) << (8 * (plane % 4));
    if (plane % 4 != 3) continue;
    if (x < width && y < height)
      *reinterpret_cast<uint32_t*>(s.volume + (static_cast<int64_t>(y) * width + x) * s.planes + plane - 3) = four_costs;
    four_costs = 0;
  }
}

}  // namespace

void plane_sweep(const PlaneSweep& sweep, void* stream, const Allocate& scratch) {
  const unsigned columns = blocks_for(sweep.width, kTileWidth), rows = blocks_for(sweep.height, kTileHeight);
  auto* statistics = allocate<float2>(scratch, static_cast<size_t>(sweep.width * sweep.height));
  launch(statistics_kernel, dim3(columns, rows), dim3(kThreads), stream, sweep.reference,
         static_cast<int>(sweep.width), static_cast<int>(sweep.height), statistics);
  launch(sweep_kernel, dim3(columns, rows, blocks_for(sweep.planes, kPlanes)), dim3(kThreads), stream, sweep, statistics);
}

}  // namespace recon::device
