// What blending forward and backward share: a tile's Gaussians in batches, per-block lists, and alpha at a block.
//
// A block of 4 x 4 pixels stays in registers while its own list of Gaussians goes by; lists hold only what can colour
// the block, so most lanes do useful work, and consecutive Gaussians depend on each other through one product only.
#pragma once

#include <algorithm>

#include "cpu/pack_math.h"
#include "math/alpha.h"
#include "rasterize/rasterize.h"
#include "rasterize/rasterize_state.h"

namespace recon::RECON_ISA {

constexpr int kParts = kBlockPixels / kLanes;  // registers per block
// Gaussians copied and sorted into block lists at a time: 16 KiB of splats, half of a first-level cache.
constexpr int kBatch = 256;

// Sixteen pixels' worth of one quantity.
struct Block {
  f32 part[kParts];
};

// What a call computes besides colour and alpha. Each level is an instance of the loops of its own.
enum Level {
  kColorOnly,
  kWithDepth,   // + expected depth
  kEverything,  // + median depth, normals, features, contributions, where pointers ask for them
};

struct Tile {
  int x0, y0;  // first pixel
  int64_t begin, end;  // of its pairs
};

RECON_INLINE Tile tile_at(const RasterizeState& state, int64_t index) {
  return {static_cast<int>(index % state.tiles_x) * kTile, static_cast<int>(index / state.tiles_x) * kTile,
          state.tile_begin[index], state.tile_begin[index + 1]};
}

// Centres of a block's pixels, in registers.
struct BlockPixels {
  f32 x[kParts], y[kParts];
};
RECON_INLINE BlockPixels block_pixels(const Tile& tile, int block) {
  BlockPixels pixels;
  const float x = tile.x0 + kBlock * (block % 4) + 0.5f, y = tile.y0 + kBlock * (block / 4) + 0.5f;
  const f32 lane = ramp();
  const f32 row = __builtin_convertvector(__builtin_convertvector(lane * (1.0f / kBlock), i32), f32);
  for (int part = 0; part < kParts; ++part) {
    pixels.x[part] = x + (lane - kBlock * row);
    pixels.y[part] = y + part * (kLanes / kBlock) + row;
  }
  return pixels;
}

// Transmittance at the start: 1, and 0 outside the picture, where nothing must be blended or waited for.
RECON_INLINE Block first_transmittance(const BlockPixels& pixels, const RasterizeInputs& in) {
  const f32 one = splat(1.0f), zero = splat(0.0f);
  Block block;
  for (int part = 0; part < kParts; ++part)
    block.part[part] = select((pixels.x[part] < static_cast<float>(in.width)) & (pixels.y[part] < static_cast<float>(in.height)), one, zero);
  return block;
}

// A batch of a tile's pairs: splats side by side, and for each block the places in the batch of those that can colour it.
struct Batch {
  alignas(64) Splat splats[kBatch];
  alignas(64) int32_t blocks[kBatch + 16];
  int size;
  int counts[kTileBlocks];
  alignas(64) int32_t lists[kTileBlocks][kBatch + 32];
};

RECON_INLINE void fill_lists(Batch& batch) {
  for (int i = batch.size; i < batch.size + 16; ++i) batch.blocks[i] = 0;
  for (int block = 0; block < kTileBlocks; ++block) {
    int32_t* list = batch.lists[block];
    int count = 0;
#if defined(__AVX512F__)
    const __m512i bit = _mm512_set1_epi32(1 << block);
    __m512i place = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    for (int i = 0; i < batch.size; i += 16) {
      const __mmask16 chosen = _mm512_test_epi32_mask(_mm512_load_si512(batch.blocks + i), bit);
      _mm512_storeu_si512(list + count, _mm512_maskz_compress_epi32(chosen, place));
      count += __builtin_popcount(chosen);
      place = _mm512_add_epi32(place, _mm512_set1_epi32(16));
    }
#else
    for (int i = 0; i < batch.size; ++i) {  // no branch: a wrong entry is overwritten by the next
      list[count] = i;
      count += (batch.blocks[i] >> block) & 1;
    }
#endif
    batch.counts[block] = count;
  }
}

RECON_INLINE void load_batch(const RasterizeState& state, int64_t begin, int64_t end, Batch& batch) {
  const TilePair* pairs = state.pairs.data() + begin;
  batch.size = static_cast<int>(end - begin);
  constexpr int kAhead = 8;  // splats lie anywhere in memory: fetch a few ahead
  for (int i = 0; i < batch.size; ++i) {
    if (i + kAhead < batch.size) __builtin_prefetch(&state.splats[pairs[i + kAhead].splat]);
    batch.splats[i] = state.splats[pairs[i].splat];
    batch.blocks[i] = static_cast<int32_t>(pairs[i].blocks);
  }
  fill_lists(batch);
}

// Alpha of a splat, before the clamp, at a register's pixels.
struct Footprint {
  f32 dx, dy, alpha;
};
RECON_INLINE Footprint footprint(const Splat& s, f32 x, f32 y) {
  const f32 dx = x - s.u, dy = y - s.v;
  const f32 slope = fma(splat(s.exponent_a), dx, s.exponent_b * dy);
  f32 exponent = fma(slope, dx, splat(s.log2_opacity));
  exponent = fma(s.exponent_c * dy, dy, exponent);
  return {dx, dy, exp2(exponent)};
}

// Copies a block's rows between a picture [H, W, channels] and planes [channels][16]; pixels outside are left alone, or
// read as 0. The _whole forms are for blocks inside the picture; three channels are one permutation of 48 floats.
template <int channels>
RECON_INLINE void read_whole(const float* picture, int64_t stride, float* planes) {
#if defined(__AVX512F__)
  if (channels == 3) {
    const float *row0 = picture, *row1 = picture + stride, *row2 = row1 + stride, *row3 = row2 + stride;
    const __m512 a = _mm512_mask_loadu_ps(_mm512_maskz_loadu_ps(0x0fff, row0), 0xf000, row1 - 12);
    const __m512 b = _mm512_mask_loadu_ps(_mm512_maskz_loadu_ps(0x00ff, row1 + 4), 0xff00, row2 - 8);
    const __m512 c = _mm512_mask_loadu_ps(_mm512_maskz_loadu_ps(0x000f, row2 + 8), 0xfff0, row3 - 4);
    f32 fields[3];
    deinterleave3((f32)a, (f32)b, (f32)c, fields);
    for (int k = 0; k < 3; ++k) store(planes + k * kBlockPixels, fields[k]);
    return;
  }
#endif
  for (int r = 0; r < kBlock; ++r)
    for (int c = 0; c < kBlock; ++c)
      for (int k = 0; k < channels; ++k)
        planes[k * kBlockPixels + r * kBlock + c] = picture[r * stride + c * channels + k];
}
template <int channels>
RECON_INLINE void write_whole(const float* planes, float* picture, int64_t stride) {
#if defined(__AVX512F__)
  if (channels == 3) {
    const f32 fields[3] = {load(planes), load(planes + 16), load(planes + 32)};
    f32 rows[3];
    interleave3(fields, rows);
    float *row0 = picture, *row1 = picture + stride, *row2 = row1 + stride, *row3 = row2 + stride;
    _mm512_mask_storeu_ps(row0, 0x0fff, (__m512)rows[0]);
    _mm512_mask_storeu_ps(row1 - 12, 0xf000, (__m512)rows[0]);
    _mm512_mask_storeu_ps(row1 + 4, 0x00ff, (__m512)rows[1]);
    _mm512_mask_storeu_ps(row2 - 8, 0xff00, (__m512)rows[1]);
    _mm512_mask_storeu_ps(row2 + 8, 0x000f, (__m512)rows[2]);
    _mm512_mask_storeu_ps(row3 - 4, 0xfff0, (__m512)rows[2]);
    return;
  }
#endif
  for (int r = 0; r < kBlock; ++r)
    for (int c = 0; c < kBlock; ++c)
      for (int k = 0; k < channels; ++k)
        picture[r * stride + c * channels + k] = planes[k * kBlockPixels + r * kBlock + c];
}
RECON_INLINE void read_block(const float* picture, const RasterizeInputs& in, int channels, int x0, int y0, float* planes) {
  const int columns = std::min(kBlock, in.width - x0), rows = std::min(kBlock, in.height - y0);
  const bool whole = columns == kBlock && rows == kBlock;
  const int64_t stride = static_cast<int64_t>(in.width) * channels;
  const float* corner = picture + y0 * stride + x0 * channels;
  if (whole && channels == 1) return read_whole<1>(corner, stride, planes);
  if (whole && channels == 3) return read_whole<3>(corner, stride, planes);
  if (!whole) std::fill(planes, planes + channels * kBlockPixels, 0.0f);
  for (int r = 0; r < rows; ++r) {
    const float* from = corner + r * stride;
    for (int c = 0; c < columns; ++c)
      for (int k = 0; k < channels; ++k) planes[k * kBlockPixels + r * kBlock + c] = from[c * channels + k];
  }
}
RECON_INLINE void write_block(const float* planes, const RasterizeInputs& in, int channels, int x0, int y0, float* picture) {
  const int columns = std::min(kBlock, in.width - x0), rows = std::min(kBlock, in.height - y0);
  const bool whole = columns == kBlock && rows == kBlock;
  const int64_t stride = static_cast<int64_t>(in.width) * channels;
  float* corner = picture + y0 * stride + x0 * channels;
  if (whole && channels == 1) return write_whole<1>(planes, corner, stride);
  if (whole && channels == 3) return write_whole<3>(planes, corner, stride);
  for (int r = 0; r < rows; ++r) {
    float* to = corner + r * stride;
    for (int c = 0; c < columns; ++c)
      for (int k = 0; k < channels; ++k) to[c * channels + k] = planes[k * kBlockPixels + r * kBlock + c];
  }
}

RECON_INLINE void store(float* planes, const Block& block) {
  for (int part = 0; part < kParts; ++part) store(planes + part * kLanes, block.part[part]);
}
RECON_INLINE Block load_block(const float* planes) {
  Block block;
  for (int part = 0; part < kParts; ++part) block.part[part] = load(planes + part * kLanes);
  return block;
}

}  // namespace recon::RECON_ISA
