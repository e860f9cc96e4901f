// Blending, front to back, and its adjoint, also front to back: what lies behind a Gaussian is the final value less
// what was passed, so no list of what a pixel blended has to be kept.
#include "rasterize/tile_walk.cuh"

namespace recon::device {
namespace {

constexpr int kChannels = 16;  // feature channels per pass, held in registers

template <bool kExtras>
__global__ void __launch_bounds__(kTilePixels)
    forward_kernel(RasterizeInputs in, RasterizeOutputs out, const Splat* __restrict__ splats,
                   const uint32_t* __restrict__ pairs, const uint32_t* __restrict__ ranges) {
  __shared__ Batch batch;
  const uint32_t tile = blockIdx.y * gridDim.x + blockIdx.x;
  Pixel pixel(in.width, in.height);
  float3 color = make_float3(0.0f, 0.0f, 0.0f), normal = color;
  float depth = 0.0f, median_depth = 0.0f;
  walk_tile<kExtras>(splats, pairs, ranges[2 * tile], ranges[2 * tile + 1], batch, pixel,
                     [&](int k, bool active, float alpha) {
                       const float weight = active ? alpha * pixel.transmittance : 0.0f;
                       const float4 c = batch.color[k];
                       color.x += weight * c.x;
                       color.y += weight * c.y;
                       color.z += weight * c.z;
                       if (!kExtras) return;
                       const float z = batch.shape[k].z;
                       const float4 n = batch.normal[k];
                       depth += weight * z;
                       normal.x += weight * n.x;
                       normal.y += weight * n.y;
                       normal.z += weight * n.z;
                       const float after = pixel.transmittance * (1.0f - alpha);
                       if (active && pixel.transmittance > math::kMedian && after <= math::kMedian) median_depth = z;
                       if (out.contribution != nullptr) {
                         const float total = warp_sum(weight);
                         if (threadIdx.x % kWarp == 0 && total > 0.0f)
                           atomicAdd(out.contribution + batch.id[k], total);
                       }
                     });
  if (!pixel.inside) return;

  const int64_t at = static_cast<int64_t>(pixel.row) * in.width + pixel.column;
  const float left = pixel.transmittance, alpha = 1.0f - left;
  const float* background = in.background;
  out.color[3 * at] = color.x + (background != nullptr ? left * background[0] : 0.0f);
  out.color[3 * at + 1] = color.y + (background != nullptr ? left * background[1] : 0.0f);
  out.color[3 * at + 2] = color.z + (background != nullptr ? left * background[2] : 0.0f);
  out.alpha[at] = alpha;
  if (!kExtras) return;
  if (out.depth != nullptr) out.depth[at] = alpha > 0.0f ? depth / alpha : 0.0f;
  if (out.median_depth != nullptr) out.median_depth[at] = median_depth;
  if (out.normal != nullptr) {
    const float length = sqrtf(normal.x * normal.x + normal.y * normal.y + normal.z * normal.z);
    const float inverse = 1.0f / fmaxf(length, 1e-20f);
    out.normal_length[at] = length;
    out.normal[3 * at] = normal.x * inverse;
    out.normal[3 * at + 1] = normal.y * inverse;
    out.normal[3 * at + 2] = normal.z * inverse;
  }
}

// Blends the feature channels [first, first + kChannels).
__global__ void __launch_bounds__(kTilePixels)
    features_kernel(RasterizeInputs in, float* __restrict__ pictures, int first, const Splat* __restrict__ splats,
                    const uint32_t* __restrict__ pairs, const uint32_t* __restrict__ ranges) {
  __shared__ Batch batch;
  const uint32_t tile = blockIdx.y * gridDim.x + blockIdx.x;
  const int count = min(kChannels, in.feature_count - first);
  Pixel pixel(in.width, in.height);
  float sums[kChannels] = {};
  walk_tile<false>(splats, pairs, ranges[2 * tile], ranges[2 * tile + 1], batch, pixel,
                   [&](int k, bool active, float alpha) {
                     const float weight = active ? alpha * pixel.transmittance : 0.0f;
                     const float* features = in.features + static_cast<int64_t>(batch.id[k]) * in.feature_count + first;
#pragma unroll
                     for (int c = 0; c < kChannels; ++c)
                       if (c < count) sums[c] += weight * features[c];
                   });
  if (!pixel.inside) return;
  float* to = pictures + (static_cast<int64_t>(pixel.row) * in.width + pixel.column) * in.feature_count + first;
#pragma unroll
  for (int c = 0; c < kChannels; ++c)
    if (c < count) to[c] = sums[c];
}

// Lanes `2 * half` apart share their work: of the first 2 * half values each keeps half, the lower lane the lower ones.
template <int half>
__device__ __forceinline__ void halve(float (&values)[16]) {
  const bool upper = (threadIdx.x & (2 * half)) != 0;
#pragma unroll
  for (int i = 0; i < half; ++i) {
    const float keep = upper ? values[i + half] : values[i], give = upper ? values[i] : values[i + half];
    values[i] = keep + __shfl_xor_sync(kAllLanes, give, 2 * half);
  }
}

// Adds 16 values over the 32 lanes with 16 exchanges instead of 80. Lane l is left with the sum of value l / 2.
__device__ __forceinline__ float transposing_sum(float (&values)[16]) {
  halve<8>(values);
  halve<4>(values);
  halve<2>(values);
  halve<1>(values);
  return values[0] + __shfl_xor_sync(kAllLanes, values[0], 1);
}

// dL/d(sums over Gaussians of weight times value) at one pixel.
struct PixelUpstream {
  float3 color = {0.0f, 0.0f, 0.0f}, normal = {0.0f, 0.0f, 0.0f};
  float alpha = 0.0f, depth = 0.0f, median_depth = 0.0f;
  float behind = 0.0f;  // the upstream times all that the pixel blended
};

// From dL/d(pictures) at pixel `at`.
template <bool kExtras>
__device__ __forceinline__ PixelUpstream load_upstream(const RasterizeInputs& in, const RasterizeOutputs& out,
                                                       const RasterizeUpstream& upstream, int64_t at) {
  PixelUpstream g;
  const float covered = out.alpha[at];
  if (upstream.alpha != nullptr) g.alpha = upstream.alpha[at];
  if (upstream.color != nullptr) {
    g.color = make_float3(upstream.color[3 * at], upstream.color[3 * at + 1], upstream.color[3 * at + 2]);
    float3 blended = make_float3(out.color[3 * at], out.color[3 * at + 1], out.color[3 * at + 2]);
    if (in.background != nullptr) {
      const float3 b = make_float3(in.background[0], in.background[1], in.background[2]);
      const float left = 1.0f - covered;
      blended = make_float3(blended.x - left * b.x, blended.y - left * b.y, blended.z - left * b.z);
      g.alpha -= g.color.x * b.x + g.color.y * b.y + g.color.z * b.z;
    }
    g.behind = g.color.x * blended.x + g.color.y * blended.y + g.color.z * blended.z;
  }
  if (kExtras && upstream.depth != nullptr && covered > 0.0f) {
    const float expected = out.depth[at];
    g.depth = upstream.depth[at] / covered;
    g.alpha -= g.depth * expected;
    g.behind += g.depth * expected * covered;
  }
  if (kExtras && upstream.normal != nullptr) {
    const float length = out.normal_length[at];
    const float3 n = make_float3(out.normal[3 * at], out.normal[3 * at + 1], out.normal[3 * at + 2]);
    const float3 d = make_float3(upstream.normal[3 * at], upstream.normal[3 * at + 1], upstream.normal[3 * at + 2]);
    const float along = d.x * n.x + d.y * n.y + d.z * n.z;
    // What was blended is parallel to n, to which this gradient is orthogonal: it adds nothing to `behind`.
    if (length > 1e-20f)
      g.normal = make_float3((d.x - along * n.x) / length, (d.y - along * n.y) / length, (d.z - along * n.z) / length);
  }
  if (kExtras && upstream.features != nullptr)
    for (int c = 0; c < in.feature_count; ++c)
      g.behind += upstream.features[at * in.feature_count + c] * out.features[at * in.feature_count + c];
  if (kExtras && upstream.median_depth != nullptr) g.median_depth = upstream.median_depth[at];
  g.behind += g.alpha * covered;
  return g;
}

// Adds the block's sums of (transmittance left) g over its pixels, the background's gradient.
__device__ __forceinline__ void add_background(const Pixel& pixel, const PixelUpstream& g, double* gradient) {
  const float left = pixel.inside ? pixel.transmittance : 0.0f;
  const float sums[3] = {warp_sum(left * g.color.x), warp_sum(left * g.color.y), warp_sum(left * g.color.z)};
  if (threadIdx.x % kWarp == 0)
    for (int c = 0; c < 3; ++c) atomicAdd(gradient + c, static_cast<double>(sums[c]));
}

template <bool kExtras>
__global__ void __launch_bounds__(kTilePixels)
    backward_kernel(RasterizeInputs in, RasterizeOutputs out, RasterizeUpstream upstream,
                    const Splat* __restrict__ splats, const uint32_t* __restrict__ pairs,
                    const uint32_t* __restrict__ ranges, float* __restrict__ rows,
                    float* __restrict__ feature_gradient, double* __restrict__ background_gradient, bool absolute) {
  __shared__ Batch batch;
  const uint32_t tile = blockIdx.y * gridDim.x + blockIdx.x;
  const int lane = threadIdx.x % kWarp;
  const int entry = lane / 2;  // whose sum transposing_sum leaves in this lane
  Pixel pixel(in.width, in.height);
  const int64_t at = static_cast<int64_t>(pixel.row) * in.width + pixel.column;
  PixelUpstream g;
  if (pixel.inside) g = load_upstream<kExtras>(in, out, upstream, at);
  const bool with_features = kExtras && upstream.features != nullptr;
  const float* feature_upstream = with_features && pixel.inside ? upstream.features + at * in.feature_count : nullptr;

  walk_tile<kExtras>(
      splats, pairs, ranges[2 * tile], ranges[2 * tile + 1], batch, pixel, [&](int k, bool active, float alpha) {
        if (!__any_sync(kAllLanes, active)) return;
        float row[kRowSize] = {};
        float weight = 0.0f;
        const uint32_t id = batch.id[k];
        if (active) {
          const float4 place = batch.place[k], color = batch.color[k];
          weight = alpha * pixel.transmittance;
          float value = g.color.x * color.x + g.color.y * color.y + g.color.z * color.z + g.alpha;
          row[kRowColor] = weight * g.color.x;
          row[kRowColor + 1] = weight * g.color.y;
          row[kRowColor + 2] = weight * g.color.z;
          if (kExtras) {
            const float4 normal = batch.normal[k];
            value += g.depth * batch.shape[k].z + g.normal.x * normal.x + g.normal.y * normal.y + g.normal.z * normal.z;
            row[kRowDepth] = weight * g.depth;
            const float after = pixel.transmittance * (1.0f - alpha);
            if (pixel.transmittance > math::kMedian && after <= math::kMedian) row[kRowDepth] += g.median_depth;
            row[kRowNormal] = weight * g.normal.x;
            row[kRowNormal + 1] = weight * g.normal.y;
            row[kRowNormal + 2] = weight * g.normal.z;
            if (with_features) {
              const float* features = in.features + static_cast<int64_t>(id) * in.feature_count;
              for (int c = 0; c < in.feature_count; ++c) value += feature_upstream[c] * features[c];
            }
          }
          const float d_alpha = math::blend_adjoint(pixel.transmittance, alpha, weight, value, g.behind);
          const float q = alpha < math::kAlphaMax ? d_alpha * alpha : 0.0f;
          const float dx = pixel.x - place.x, dy = pixel.y - place.y;
          row[kRowOne] = q;
          row[kRowX] = q * dx;
          row[kRowY] = q * dy;
          row[kRowXX] = row[kRowX] * dx;
          row[kRowXY] = row[kRowX] * dy;
          row[kRowYY] = row[kRowY] * dy;
          if (kExtras && absolute) {
            // d exponent / d(u, v), with the exponent in base 2.
            row[kRowAbsoluteX] = fabsf(q * kLn2 * (2.0f * place.z * dx + place.w * dy));
            row[kRowAbsoluteY] = fabsf(q * kLn2 * (2.0f * batch.shape[k].x * dy + place.w * dx));
          }
        }
        const float sum = transposing_sum(row);
        const bool used = kExtras ? entry < kRowUnused : entry < kRowDepth;
        if (lane % 2 == 0 && used && sum != 0.0f) atomicAdd(rows + static_cast<int64_t>(id) * kRowSize + entry, sum);

        const int channel_end = with_features && feature_gradient != nullptr ? in.feature_count : 0;
        for (int first = 0; first < channel_end; first += kChannels) {
          float channels[kChannels];
#pragma unroll
          for (int c = 0; c < kChannels; ++c)
            channels[c] = active && first + c < channel_end ? weight * feature_upstream[first + c] : 0.0f;
          const float total = transposing_sum(channels);
          if (lane % 2 == 0 && first + entry < channel_end && total != 0.0f)
            atomicAdd(feature_gradient + static_cast<int64_t>(id) * channel_end + first + entry, total);
        }
      });
  if (background_gradient != nullptr) add_background(pixel, g, background_gradient);
}

}  // namespace

void blend_forward(const RasterizeInputs& in, const RasterizeOutputs& out, const RasterizeState& state, void* stream) {
  const TileGrid tiles = tile_grid(in);
  const dim3 grid(static_cast<unsigned>(tiles.x), static_cast<unsigned>(tiles.y)), block(kTilePixels);
  const auto* splats = static_cast<const Splat*>(state.splats);
  const uint32_t* ranges = state.tile_ranges;
  if (out.contribution != nullptr) fill(out.contribution, 0, static_cast<size_t>(in.count) * sizeof(float), stream);
  const bool extras = out.depth != nullptr || out.median_depth != nullptr || out.normal != nullptr ||
                      out.contribution != nullptr;
  launch(extras ? forward_kernel<true> : forward_kernel<false>, grid, block, stream, in, out, splats, state.pairs,
         ranges);
  if (out.features == nullptr) return;
  for (int first = 0; first < in.feature_count; first += kChannels)
    launch(features_kernel, grid, block, stream, in, out.features, first, splats, state.pairs, ranges);
}

void blend_backward(const RasterizeInputs& in, const RasterizeOutputs& out, const RasterizeUpstream& upstream,
                    const RasterizeState& state, float* rows, float* feature_gradient, double* background_gradient,
                    bool absolute, void* stream) {
  const TileGrid tiles = tile_grid(in);
  const dim3 grid(static_cast<unsigned>(tiles.x), static_cast<unsigned>(tiles.y)), block(kTilePixels);
  const bool extras = absolute || upstream.depth != nullptr || upstream.median_depth != nullptr ||
                      upstream.normal != nullptr || upstream.features != nullptr;
  launch(extras ? backward_kernel<true> : backward_kernel<false>, grid, block, stream, in, out, upstream,
         static_cast<const Splat*>(state.splats), state.pairs, state.tile_ranges, rows, feature_gradient,
         background_gradient, absolute);
}

}  // namespace recon::device
