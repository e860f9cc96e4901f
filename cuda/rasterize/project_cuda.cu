// The forward up to the tile lists: project every Gaussian, find the tiles its ellipse {alpha >= 1/255} meets, exactly
// per row of tiles (Speedy-Splat, Hanson et al. 2025), and sort the pairs by depth, then by tile.
#include <cfloat>

#include "device/sort.h"
#include "math/ellipse.h"
#include "math/project.h"
#include "math/spherical_harmonics.h"
#include "rasterize/splat.cuh"

namespace recon::device {
namespace {

constexpr int kThreads = 128;
// Bounds are widened by this much of the exponent's level, so that rounding never drops a pixel that counts.
constexpr float kLevelMargin = 1e-4f;
constexpr uint32_t kNotVisible = ~0u;  // as a depth key: behind everything

// The ellipse that a Gaussian covers, for the listing of its tiles.
struct Footprint {
  float u, v, half_width, half_height;
  float conic_a, conic_b, level;
  float cov_b_over_a, inverse_cov_c;
};

struct Range {
  int first, last;  // first > last: none
};

// Pixels whose centre lies in [low, high], cut to [0, size).
__device__ __forceinline__ Range pixel_range(float low, float high, int size) {
  const float last = static_cast<float>(size - 1);
  return {static_cast<int>(ceilf(fminf(fmaxf(low - 0.5f, 0.0f), static_cast<float>(size)))),
          high < 0.5f ? -1 : static_cast<int>(floorf(fminf(high - 0.5f, last)))};
}

// Calls visit(tile) for every tile that the footprint meets, row by row.
template <class Visit>
__device__ __forceinline__ void for_each_tile(const Footprint& f, int width, int height, int tiles_x, Visit&& visit) {
  const Range rows = pixel_range(f.v - f.half_height, f.v + f.half_height, height);
  const float one_over_a = 1.0f / f.conic_a;
  for (int ty = rows.first / kTile; ty <= rows.last / kTile && rows.first <= rows.last; ++ty) {
    const float top = static_cast<float>(max(ty * kTile, rows.first)) + 0.5f;
    const float bottom = static_cast<float>(min(ty * kTile + kTile - 1, rows.last)) + 0.5f;
    const auto x = math::band_interval<float, float>(top - f.v, bottom - f.v, f.conic_a, f.conic_b, f.level,
                                                     f.cov_b_over_a, f.half_width, one_over_a, f.inverse_cov_c);
    const Range columns = pixel_range(f.u + x.low, f.u + x.high, width);
    if (columns.first > columns.last) continue;
    for (int tx = columns.first / kTile; tx <= columns.last / kTile; ++tx) visit(ty * tiles_x + tx);
  }
}

// Colour before that of spherical harmonics is clamped at 0.
__device__ __forceinline__ math::Vector3<float> unclamped_color(const RasterizeInputs& in,
                                                                const math::Camera<float>& camera,
                                                                const math::Vector3<float>& mean, int64_t i) {
  if (in.sh == nullptr) return {in.colors[3 * i], in.colors[3 * i + 1], in.colors[3 * i + 2]};
  float inverse_distance, basis[16];
  math::sh_basis(in.sh_degree, math::view_direction(camera.center, mean, inverse_distance), basis);
  const float* sh = in.sh + 3 * in.sh_bases * i;
  math::Vector3<float> color = {0.5f, 0.5f, 0.5f};
#pragma unroll
  for (int k = 0; k < 16; ++k)
    if (k < (in.sh_degree + 1) * (in.sh_degree + 1)) {
      color.x += basis[k] * sh[3 * k];
      color.y += basis[k] * sh[3 * k + 1];
      color.z += basis[k] * sh[3 * k + 2];
    }
  return color;
}

// Comparisons with NaN are false, so what is not finite is not below.
__device__ __forceinline__ bool finite(float x) { return fabsf(x) < 1e30f; }

__global__ void __launch_bounds__(kThreads)
    project_kernel(RasterizeInputs in, RasterizeOutputs out, int tiles_x, Splat* __restrict__ splats,
                   Footprint* __restrict__ footprints, uint32_t* __restrict__ tile_counts,
                   uint32_t* __restrict__ depth_keys, uint32_t* __restrict__ order) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= in.count) return;
  const math::Camera<float> camera = math::make_camera(in.world_to_camera, in.intrinsics, in.width, in.height);
  const math::Vector3<float> mean = {in.means[3 * i], in.means[3 * i + 1], in.means[3 * i + 2]};
  const math::Vector3<float> scale = {in.scales[3 * i], in.scales[3 * i + 1], in.scales[3 * i + 2]};
  const math::Quaternion<float> quaternion = {in.quaternions[4 * i], in.quaternions[4 * i + 1],
                                              in.quaternions[4 * i + 2], in.quaternions[4 * i + 3]};
  order[i] = static_cast<uint32_t>(i);
  depth_keys[i] = kNotVisible;
  tile_counts[i] = 0;
  out.radii[i] = 0.0f;
  if (!(math::camera_point(camera, mean).z > fmaxf(in.near_plane, 0.0f))) return;

  math::ProjectionTerms<float> terms;
  math::Projection<float> p = math::project(camera, mean, quaternion, scale, terms);
  if (in.screen_offsets != nullptr) {
    p.u += in.screen_offsets[2 * i];
    p.v += in.screen_offsets[2 * i + 1];
  }
  const float opacity = in.antialiased ? in.opacities[i] * p.compensation : in.opacities[i];
  const float log2_opacity = log2f(fmaxf(opacity, 1e-30f));
  const float level = (log2_opacity - log2f(math::kAlphaMin)) * kLn2;
  if (!(level >= 0.0f && terms.determinant < 1e30f && finite(p.u) && finite(p.v))) return;
  const math::Vector3<float> color = unclamped_color(in, camera, mean, i);
  if (!(finite(color.x) && finite(color.y) && finite(color.z))) return;

  const float reach = level * (1.0f + kLevelMargin) + kLevelMargin;
  const Footprint footprint = {p.u,       p.v,       math::half_extent(p.cov_a, reach), math::half_extent(p.cov_c, reach),
                               p.conic_a, p.conic_b, reach,                             p.cov_b / p.cov_a,
                               1.0f / p.cov_c};
  uint32_t count = 0;
  for_each_tile(footprint, in.width, in.height, tiles_x, [&](int) { ++count; });
  if (count == 0) return;
  tile_counts[i] = count;
  footprints[i] = footprint;
  depth_keys[i] = __float_as_uint(p.point.z);  // positive floats sort like their bits

  math::Vector3<float> signed_axis, normal = {0.0f, 0.0f, 0.0f};
  if (out.normal != nullptr) normal = math::camera_normal(camera, scale, p.point, terms.rotation, signed_axis);
  splats[i].place = make_float4(p.u, p.v, p.conic_a * (-0.5f * kLog2E), p.conic_b * -kLog2E);
  splats[i].shape = make_float4(p.conic_c * (-0.5f * kLog2E), log2_opacity, p.point.z, 0.0f);
  const float darkest = in.sh != nullptr ? 0.0f : -FLT_MAX;  // plain colours are taken as they are
  splats[i].color = make_float4(fmaxf(color.x, darkest), fmaxf(color.y, darkest), fmaxf(color.z, darkest), 0.0f);
  splats[i].normal = make_float4(normal.x, normal.y, normal.z, 0.0f);
  const float half_trace = 0.5f * (p.cov_a + p.cov_c), difference = 0.5f * (p.cov_a - p.cov_c);
  out.radii[i] = 3.0f * sqrtf(half_trace + sqrtf(difference * difference + p.cov_b * p.cov_b));
}

__global__ void __launch_bounds__(kThreads)
    gather_kernel(int64_t count, const uint32_t* __restrict__ order, const uint32_t* __restrict__ tile_counts,
                  uint32_t* __restrict__ ordered_counts) {
  const int64_t k = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (k < count) ordered_counts[k] = tile_counts[order[k]];
}

// Writes the pairs in the order of depth. What does not fit is dropped: the farthest Gaussians.
__global__ void __launch_bounds__(kThreads)
    list_kernel(int64_t count, int width, int height, int tiles_x, int64_t capacity, const uint32_t* __restrict__ order,
                const uint32_t* __restrict__ tile_counts, const uint32_t* __restrict__ ends,
                const Footprint* __restrict__ footprints, uint32_t* __restrict__ tiles,
                uint32_t* __restrict__ gaussians) {
  const int64_t k = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (k >= count) return;
  const uint32_t i = order[k];
  if (tile_counts[i] == 0) return;
  const int64_t end = ends[k] < capacity ? ends[k] : capacity;
  int64_t at = static_cast<int64_t>(ends[k]) - tile_counts[i];
  for_each_tile(footprints[i], width, height, tiles_x, [&](int tile) {
    if (at < end) {
      tiles[at] = static_cast<uint32_t>(tile);
      gaussians[at] = i;
      ++at;
    }
  });
}

// One thread per place: where a tile's pairs begin and end, in pairs sorted by tile. Free places have no tile.
__global__ void __launch_bounds__(kThreads)
    range_kernel(int64_t capacity, uint32_t tile_count, const uint32_t* __restrict__ tiles,
                 uint32_t* __restrict__ ranges) {
  const int64_t at = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (at >= capacity) return;
  const uint32_t tile = tiles[at];
  if (tile >= tile_count) return;
  if (at == 0 || tiles[at - 1] != tile) ranges[2 * tile] = static_cast<uint32_t>(at);
  if (at + 1 == capacity || tiles[at + 1] != tile) ranges[2 * tile + 1] = static_cast<uint32_t>(at + 1);
}

__global__ void total_kernel(const uint32_t* ends, int64_t count, uint32_t* total) {
  *total = count > 0 ? ends[count - 1] : 0;
}

int bits_for(uint32_t largest) {
  int bits = 1;
  while (bits < 32 && largest >> bits != 0) ++bits;
  return bits;
}

int64_t read_back(const uint32_t* value, void* stream) {
  uint32_t host = 0;
#if defined(RECON_EMULATE_CUDA)
  (void)stream;
  host = *value;
#else
  check(cudaMemcpyAsync(&host, value, sizeof host, cudaMemcpyDeviceToHost, static_cast<cudaStream_t>(stream)));
  check(cudaStreamSynchronize(static_cast<cudaStream_t>(stream)));
#endif
  return host;
}

}  // namespace

RasterizeState rasterize_forward(const RasterizeInputs& in, const RasterizeOutputs& out, int64_t capacity, void* stream,
                                 const Allocate& keep, const Allocate& scratch) {
  const int64_t n = in.count;
  const TileGrid grid = tile_grid(in);
  const uint32_t tile_count = static_cast<uint32_t>(grid.x * grid.y);
  const dim3 block(kThreads), per_gaussian(blocks_for(n, kThreads));

  auto* splats = allocate<Splat>(keep, n);
  RasterizeState state;
  state.splats = splats;
  state.pair_count = allocate<uint32_t>(keep, 1);
  state.tile_ranges = allocate<uint32_t>(keep, 2 * static_cast<size_t>(tile_count));

  auto* footprints = allocate<Footprint>(scratch, n);
  auto* tile_counts = allocate<uint32_t>(scratch, n);
  auto* ends = allocate<uint32_t>(scratch, n);
  const SortBuffers by_depth = {{allocate<uint32_t>(scratch, n), allocate<uint32_t>(scratch, n)},
                                {allocate<uint32_t>(scratch, n), allocate<uint32_t>(scratch, n)}};
  const uint32_t* order = by_depth.values[0];
  if (n > 0) {
    launch(project_kernel, per_gaussian, block, stream, in, out, grid.x, splats, footprints, tile_counts,
           by_depth.keys[0], by_depth.values[0]);
    const int sorted = sort_pairs(by_depth, n, 32, scratch, stream);
    order = by_depth.values[sorted];
    uint32_t* ordered_counts = by_depth.keys[sorted];  // the keys have done their work
    launch(gather_kernel, per_gaussian, block, stream, n, order, tile_counts, ordered_counts);
    inclusive_sum(ordered_counts, ends, n, scratch, stream);
  }
  launch(total_kernel, dim3(1), dim3(1), stream, ends, n, state.pair_count);
  state.capacity = capacity > 0 ? capacity : read_back(state.pair_count, stream);

  const int64_t places = state.capacity;
  uint32_t* const kept_pairs[2] = {allocate<uint32_t>(keep, places), allocate<uint32_t>(scratch, places)};
  const SortBuffers by_tile = {{allocate<uint32_t>(scratch, places), allocate<uint32_t>(scratch, places)},
                               {kept_pairs[0], kept_pairs[1]}};
  state.pairs = kept_pairs[0];
  fill(state.tile_ranges, 0, 2 * tile_count * sizeof(uint32_t), stream);
  if (n > 0 && places > 0) {
    fill(by_tile.keys[0], 0xff, static_cast<size_t>(places) * sizeof(uint32_t), stream);
    launch(list_kernel, per_gaussian, block, stream, n, in.width, in.height, grid.x, places, order, tile_counts, ends,
           footprints, by_tile.keys[0], by_tile.values[0]);
    // All bits of `tile_count` set mark a free place, so that those sort last.
    const int sorted = sort_pairs(by_tile, places, bits_for(tile_count), scratch, stream);
    if (sorted == 1) copy(kept_pairs[0], kept_pairs[1], static_cast<size_t>(places) * sizeof(uint32_t), stream);
    launch(range_kernel, dim3(blocks_for(places, kThreads)), block, stream, places, tile_count, by_tile.keys[sorted],
           state.tile_ranges);
  }
  blend_forward(in, out, state, stream);
  return state;
}

}  // namespace recon::device
