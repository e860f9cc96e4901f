// The traversal that every pass over a tile's Gaussians shares, so that all see the same weights to the last bit.
#pragma once

#include "math/alpha.h"
#include "rasterize/splat.cuh"

namespace recon::device {

constexpr int kTilePixels = kTile * kTile;  // also the threads of a block, and the Gaussians loaded at once

struct Batch {
  float4 place[kTilePixels], shape[kTilePixels], color[kTilePixels], normal[kTilePixels];
  uint32_t id[kTilePixels];
};

// The pixel of a thread: a warp covers 8 x 4 neighbours.
struct Pixel {
  int column, row;
  float x, y;  // its centre
  bool inside;
  float transmittance;  // 0 outside the picture

  __device__ __forceinline__ Pixel(int width, int height) {
    const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
    column = blockIdx.x * kTile + (warp & 1) * kSubtileWidth + lane % kSubtileWidth;
    row = blockIdx.y * kTile + (warp >> 1) * kSubtileHeight + lane / kSubtileWidth;
    x = static_cast<float>(column) + 0.5f;
    y = static_cast<float>(row) + 0.5f;
    inside = column < width && row < height;
    transmittance = inside ? 1.0f : 0.0f;
  }
};

// log2 of the largest value that exp2(b dx + ...) takes over the pixel centres of a warp; a bound that is never too low.
__device__ __forceinline__ float largest_exponent(const float4& place, const float4& shape, float left, float top) {
  const float x0 = left - place.x, x1 = x0 + (kSubtileWidth - 1);
  const float y0 = top - place.y, y1 = y0 + (kSubtileHeight - 1);
  const float a = place.z, b = place.w, c = shape.x;  // a, c < 0
  const float dx = fminf(fmaxf(0.0f, x0), x1), dy = fminf(fmaxf(0.0f, y0), y1);  // nearest to the centre
  // The largest value lies on the edge x = dx or on the edge y = dy, at the best place along it.
  const float along_y = fminf(fmaxf(-0.5f * b * dx / c, y0), y1), along_x = fminf(fmaxf(-0.5f * b * dy / a, x0), x1);
  const float on_x = dx * (a * dx + b * along_y) + c * along_y * along_y;
  const float on_y = along_x * (a * along_x + b * dy) + c * dy * dy;
  return shape.y + fmaxf(on_x, on_y);
}

// Calls blend(k, active, alpha) with the whole warp for each Gaussian that may reach one of its pixels, nearest first:
// k is its place in `batch`, and `active` says whether it counts at this thread's pixel, whose transmittance is still
// the one before it. Ends when no pixel of the block is alive.
template <bool kNormals, class Blend>
__device__ __forceinline__ void walk_tile(const Splat* __restrict__ splats, const uint32_t* __restrict__ pairs,
                                          uint32_t begin, uint32_t end, Batch& batch, Pixel& pixel, Blend&& blend) {
  constexpr float kLowest = -7.9943534f - 0.01f;  // log2(1/255), less a margin for rounding
  const int lane = threadIdx.x % kWarp;
  const float left = pixel.x - static_cast<float>(lane % kSubtileWidth);
  const float top = pixel.y - static_cast<float>(lane / kSubtileWidth);
  for (uint32_t first = begin; first < end; first += kTilePixels) {
    if (__syncthreads_count(pixel.transmittance >= math::kStop) == 0) return;
    const uint32_t at = first + threadIdx.x;
    if (at < end) {
      const uint32_t id = pairs[at];
      batch.id[threadIdx.x] = id;
      batch.place[threadIdx.x] = splats[id].place;
      batch.shape[threadIdx.x] = splats[id].shape;
      batch.color[threadIdx.x] = splats[id].color;
      if (kNormals) batch.normal[threadIdx.x] = splats[id].normal;
    }
    __syncthreads();
    const int count = static_cast<int>(end - first < kTilePixels ? end - first : kTilePixels);
    for (int chunk = 0; chunk < count; chunk += kWarp) {
      if (!__any_sync(kAllLanes, pixel.transmittance >= math::kStop)) break;
      const int own = chunk + lane;
      unsigned hits = __ballot_sync(
          kAllLanes, own < count && largest_exponent(batch.place[own], batch.shape[own], left, top) >= kLowest);
      while (hits != 0) {
        const int k = chunk + __ffs(hits) - 1;
        hits &= hits - 1;
        const float4 place = batch.place[k];
        const float dx = pixel.x - place.x, dy = pixel.y - place.y;
        const float exponent =
            fmaf(dx, fmaf(place.z, dx, place.w * dy), fmaf(batch.shape[k].x * dy, dy, batch.shape[k].y));
        const float alpha = fminf(exp2f(exponent), math::kAlphaMax);
        const bool active = alpha >= math::kAlphaMin && pixel.transmittance >= math::kStop;
        blend(k, active, alpha);
        if (active) pixel.transmittance *= 1.0f - alpha;
      }
    }
  }
}

}  // namespace recon::device
