// Stage 1 of the forward: project every Gaussian and list the tiles and 4 x 4 pixel blocks it can colour.
//
// The test is exact: for each band of four pixel rows, the interval of x that the ellipse {alpha >= 1/255} covers
// (Speedy-Splat, Hanson et al. 2025, solves the same per tile row). Gaussians go through in packs of kLanes.
#include <cfloat>
#include <limits>

#include "cpu/threads.h"
#include "math/ellipse.h"
#include "rasterize/gaussian_pack.h"
#include "rasterize/rasterize_cpu.h"

namespace recon::RECON_ISA {
namespace {

// Bounds are widened by this much of the exponent's level, so that rounding never drops a pixel that counts.
constexpr float kLevelMargin = 1e-4f;

// Columns of blocks that each band of a pack of Gaussians covers; low > high where none.
struct Bands {
  i32 first, count;  // first band, number of bands; by lane
  int32_t* low;      // [band - first][lane]
  int32_t* high;
};

RECON_INLINE i32 floor_in_range(f32 x, f32 last) {
  return __builtin_convertvector(min(max(x, splat(0.0f)), last), i32);
}
// First and last pixel whose centre lies in [low, high], cut to [0, last].
RECON_INLINE void pixel_range(f32 low, f32 high, float last, i32& first_pixel, i32& last_pixel) {
  const f32 from = low - 0.5f, to = high - 0.5f;
  first_pixel = floor_in_range(from, splat(last));
  first_pixel -= __builtin_convertvector(first_pixel, f32) < from;  // a true comparison is -1
  last_pixel = floor_in_range(to, splat(last));
  last_pixel += to < 0.0f;
}

RECON_INLINE void cover_bands(const math::Projection<f32>& p, f32 level, f32 half_width, i32 visible, i32 first_row,
                              i32 last_row, int width, Bands& bands) {
  bands.first = first_row >> 2;
  bands.count = ((last_row >> 2) - bands.first + 1) & visible;
  int most = 0;
  for (int i = 0; i < kLanes; ++i) most = std::max(most, bands.count[i]);
  const f32 one_over_a = 1.0f / p.conic_a, inverse_cov_c = 1.0f / p.cov_c, tip_slope = p.cov_b / p.cov_a;
  const f32 top = __builtin_convertvector(first_row, f32) + 0.5f, bottom = __builtin_convertvector(last_row, f32) + 0.5f;
  for (int k = 0; k < most; ++k) {
    const f32 edge = __builtin_convertvector((bands.first + k) * kBlock, f32) + 0.5f;
    const auto x = math::band_interval<f32, f32>(max(edge, top) - p.v, min(edge + (kBlock - 1), bottom) - p.v, p.conic_a,
                                                 p.conic_b, level, tip_slope, half_width, one_over_a, inverse_cov_c);
    i32 first_pixel, last_pixel;
    pixel_range(p.u + x.low, p.u + x.high, static_cast<float>(width - 1), first_pixel, last_pixel);
    const i32 empty = first_pixel > last_pixel;
    const i32 low = empty ? splat(std::numeric_limits<int32_t>::max()) : first_pixel >> 2;
    const i32 high = empty ? splat(int32_t{-1}) : last_pixel >> 2;
    std::memcpy(bands.low + k * kLanes, &low, sizeof low);
    std::memcpy(bands.high + k * kLanes, &high, sizeof high);
  }
}

// Bits of columns low..high within a tile's four.
RECON_INLINE uint32_t column_bits(int low, int high) {
  low = std::min(std::max(low, 0), 4);
  high = std::min(std::max(high, -1), 3);
  return (0xfu << low) & (0xfu >> (3 - high));
}

RECON_INLINE int64_t list_tiles(const Bands& bands, int lane, int tiles_x, ChunkHits& chunk) {
  constexpr int kBands = kTile / kBlock;
  const int first = bands.first[lane], end = first + bands.count[lane];
  int64_t count = chunk.count;
  for (int ty = first / kBands; ty * kBands < end; ++ty) {
    int low[kBands], high[kBands];
    int leftmost = std::numeric_limits<int>::max(), rightmost = -1;
    for (int r = 0; r < kBands; ++r) {
      const int band = ty * kBands + r;
      const bool inside = band >= first && band < end;
      low[r] = inside ? bands.low[(band - first) * kLanes + lane] : std::numeric_limits<int>::max();
      high[r] = inside ? bands.high[(band - first) * kLanes + lane] : -1;
      leftmost = std::min(leftmost, low[r]);
      rightmost = std::max(rightmost, high[r]);
    }
    if (rightmost < leftmost) continue;
    const int tx0 = leftmost / 4, tx1 = rightmost / 4;
    TileHit* hits = chunk.hits.grow(count + (tx1 - tx0 + 1), count);
    for (int tx = tx0; tx <= tx1; ++tx) {
      uint32_t blocks = 0;
      for (int r = 0; r < kBands; ++r)
        blocks |= column_bits(low[r] == std::numeric_limits<int>::max() ? 4 : low[r] - 4 * tx, high[r] - 4 * tx) << (4 * r);
      hits[count] = {static_cast<uint32_t>(ty * tiles_x + tx), blocks};
      count += blocks != 0;
    }
  }
  const int64_t added = count - chunk.count;
  chunk.count = count;
  return added;
}

void project_chunk(const RasterizeInputs& in, const RasterizeOutputs& out, const math::Camera<float>& camera,
                   RasterizeState& state, int64_t index, Buffer<int32_t>& scratch) {
  const size_t band_ints = static_cast<size_t>((in.height + kBlock - 1) / kBlock) * kLanes;
  Bands bands;
  bands.low = scratch.reserve(2 * band_ints);
  bands.high = bands.low + band_ints;

  ChunkHits& chunk = state.chunks[index];
  chunk.count = 0;
  chunk.visible = 0;
  uint64_t* keys = state.keys.data() + index * kChunk;
  const int64_t end = std::min<int64_t>(in.count, (index + 1) * kChunk);
  for (int64_t first = index * kChunk; first < end; first += kLanes) {
    const int valid = static_cast<int>(std::min<int64_t>(kLanes, end - first));
    const GaussianPack g = load_gaussians(in, first, valid);
    math::ProjectionTerms<f32> terms;
    math::Projection<f32> p = math::project(camera, g.mean, g.quaternion, g.scale, terms);
    if (in.screen_offsets != nullptr) {
      f32 offset[2];
      load_structs<2>(in.screen_offsets + 2 * first, valid, offset);
      p.u += offset[0];
      p.v += offset[1];
    }
    const f32 opacity = in.antialiased ? g.opacity * p.compensation : g.opacity;
    const f32 log2_opacity = log2(max(opacity, splat(1e-30f)));
    const f32 level = (log2_opacity - std::log2(math::kAlphaMin)) * kLn2;
    const f32 reach = level * (1.0f + kLevelMargin) + kLevelMargin;
    const f32 half_width = math::half_extent(p.cov_a, reach), half_height = math::half_extent(p.cov_c, reach);
    const Vec3 color = unclamped_colors(in, camera, g.mean, first, valid);

    // Comparisons with NaN are false, so what is not finite is not visible.
    const f32 largest = splat(1e30f);
    i32 visible = (p.point.z > std::max(in.near_plane, 0.0f)) & (level >= 0.0f) & (opacity < largest) & (terms.determinant < largest) &
                  (abs(p.u) < largest) & (abs(p.v) < largest) & (abs(color.x) < largest) & (abs(color.y) < largest) &
                  (abs(color.z) < largest) & (p.u + half_width >= 0.5f) & (p.v + half_height >= 0.5f) &
                  (p.u - half_width <= in.width - 0.5f) & (p.v - half_height <= in.height - 0.5f);
    i32 first_row, last_row;
    pixel_range(p.v - half_height, p.v + half_height, static_cast<float>(in.height - 1), first_row, last_row);
    visible &= first_row <= last_row;

    Vec3 signed_axis, normal = {splat(0.0f), splat(0.0f), splat(0.0f)};
    if (out.normal != nullptr) normal = math::camera_normal(camera, g.scale, p.point, terms.rotation, signed_axis);
    const f32 zero = splat(0.0f);
    const f32 darkest = splat(in.sh != nullptr ? 0.0f : -FLT_MAX);  // plain colours are taken as they are
    const f32 fields[16] = {p.u, p.v, p.conic_a * (-0.5f * kLog2E), p.conic_b * -kLog2E, p.conic_c * (-0.5f * kLog2E),
                            log2_opacity, max(color.x, darkest), max(color.y, darkest), max(color.z, darkest), p.point.z,
                            normal.x, normal.y, normal.z, zero, zero, zero};
    fields_to_rows(fields, &state.splats[first].u);

    const f32 half_trace = 0.5f * (p.cov_a + p.cov_c), difference = 0.5f * (p.cov_a - p.cov_c);
    const f32 radius = 3.0f * square_root(half_trace + square_root(difference * difference + p.cov_b * p.cov_b));
    const f32 seen_radius = select(visible, radius, zero);
    store_structs<1>(out.radii + first, valid, &seen_radius);

    cover_bands(p, reach, half_width, visible, first_row, last_row, in.width, bands);
    for (int i = 0; i < valid; ++i) {
      const uint32_t begin = static_cast<uint32_t>(chunk.count);
      const int64_t added = bands.count[i] > 0 ? list_tiles(bands, i, state.tiles_x, chunk) : 0;
      state.hits[first + i] = {begin, static_cast<uint32_t>(added)};
      if (added == 0) continue;
      uint32_t depth_bits;  // positive floats sort like their bits
      const float depth = p.point.z[i];
      std::memcpy(&depth_bits, &depth, sizeof depth_bits);
      keys[chunk.visible++] = static_cast<uint64_t>(depth_bits) << 32 | static_cast<uint64_t>(first + i);
    }
  }
}

}  // namespace

void project_gaussians(const RasterizeInputs& in, const RasterizeOutputs& out, RasterizeState& state) {
  const int64_t chunks = (in.count + kChunk - 1) / kChunk;
  const math::Camera<float> camera = math::make_camera(in.world_to_camera, in.intrinsics, in.width, in.height);
  state.tiles_x = (in.width + kTile - 1) / kTile;
  state.tiles_y = (in.height + kTile - 1) / kTile;
  state.splats.reserve(chunks * kChunk);
  state.hits.reserve(in.count);
  state.keys.reserve(chunks * kChunk);
  if (state.chunks.size() < static_cast<size_t>(chunks)) state.chunks.resize(chunks);
  parallel_chunks(chunks, [&](int64_t chunk) {
    project_chunk(in, out, camera, state, chunk, own_scratch<Buffer<int32_t>>());
  });

  state.pair_count = 0;
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    state.chunks[chunk].first_slot = state.pair_count;
    state.pair_count += state.chunks[chunk].count;
  }
}

}  // namespace recon::RECON_ISA
