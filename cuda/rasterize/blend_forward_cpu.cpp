// Stage 3 of the forward: blend each tile's Gaussians, front to back.
#include <cmath>
#include <vector>

#include "cpu/threads.h"
#include "rasterize/blend_tile.h"
#include "rasterize/rasterize_cpu.h"

namespace recon::RECON_ISA {
namespace {

// What a block has gathered so far.
struct BlockSums {
  Block transmittance;
  Block color[3];
  Block depth;
  Block median;
  Block normal[3];
};

struct Scratch {
  Batch batch;
  BlockSums sums[kTileBlocks];
  std::vector<float> features;  // [blocks][C][16]
  float contribution[kBatch];
};

template <Level level>
RECON_INLINE void clear(BlockSums& sums) {
  const Block zero = {};
  for (Block& color : sums.color) color = zero;
  if (level >= kWithDepth) sums.depth = zero;
  if (level < kEverything) return;
  sums.median = zero;
  for (Block& normal : sums.normal) normal = zero;
}

// Copies what the level uses.
template <Level level>
RECON_INLINE void copy(const BlockSums& from, BlockSums& to) {
  to.transmittance = from.transmittance;
  for (int c = 0; c < 3; ++c) to.color[c] = from.color[c];
  if (level >= kWithDepth) to.depth = from.depth;
  if (level < kEverything) return;
  to.median = from.median;
  for (int c = 0; c < 3; ++c) to.normal[c] = from.normal[c];
}

template <Level level>
RECON_INLINE void blend_block(const RasterizeInputs& in, const RasterizeOutputs& out, const RasterizeState& state,
                              const TilePair* pairs, const BlockPixels& pixels, const int32_t* list, int count,
                              Scratch& scratch, BlockSums& block, float* features) {
  BlockSums sums;
  copy<level>(block, sums);
  for (int k = 0; k < count; ++k) {
    const Splat& s = scratch.batch.splats[list[k]];
    bool alive_somewhere = false;
    for (int part = 0; part < kParts; ++part) {
      f32& transmittance = sums.transmittance.part[part];
      const mask alive = at_least(transmittance, splat(math::kStop));
      alive_somewhere |= some(alive);
      const f32 alpha = min(footprint(s, pixels.x[part], pixels.y[part]).alpha, splat(math::kAlphaMax));
      const f32 weight = keep(alive & at_least(alpha, splat(math::kAlphaMin)), alpha * transmittance);
      for (int c = 0; c < 3; ++c) sums.color[c].part[part] = fma(weight, splat(s.color[c]), sums.color[c].part[part]);
      if (level >= kWithDepth) sums.depth.part[part] = fma(weight, splat(s.depth), sums.depth.part[part]);
      const f32 after = transmittance - weight;
      if (level == kEverything) {
        const mask crossing = at_most(after, splat(math::kMedian)) & at_least(transmittance - math::kMedian, splat(1e-30f));
        sums.median.part[part] += keep(crossing, splat(s.depth));
        for (int c = 0; c < 3; ++c)
          sums.normal[c].part[part] = fma(weight, splat(s.normal[c]), sums.normal[c].part[part]);
        if (out.contribution != nullptr) scratch.contribution[list[k]] += sum(weight);
        if (out.features != nullptr) {
          const float* own = in.features + static_cast<int64_t>(pairs[list[k]].splat) * in.feature_count;
          for (int c = 0; c < in.feature_count; ++c) {
            float* channel = features + c * kBlockPixels + part * kLanes;
            store(channel, fma(weight, splat(own[c]), load(channel)));
          }
        }
      }
      transmittance = after;
    }
    if (!alive_somewhere) break;
  }
  copy<level>(sums, block);
}

template <Level level>
void write_outputs(const RasterizeInputs& in, const RasterizeOutputs& out, int x0, int y0, const BlockSums& sums,
                   const float* features) {
  alignas(64) float planes[3 * kBlockPixels];
  for (int c = 0; c < 3; ++c) {
    Block color = sums.color[c];
    if (in.background != nullptr)
      for (int part = 0; part < kParts; ++part)
        color.part[part] = fma(sums.transmittance.part[part], splat(in.background[c]), color.part[part]);
    store(planes + c * kBlockPixels, color);
  }
  write_block(planes, in, 3, x0, y0, out.color);
  alignas(64) float alpha[kBlockPixels];
  for (int part = 0; part < kParts; ++part) store(alpha + part * kLanes, 1.0f - sums.transmittance.part[part]);
  write_block(alpha, in, 1, x0, y0, out.alpha);
  if (level >= kWithDepth && out.depth != nullptr) {
    for (int part = 0; part < kParts; ++part) {
      const f32 a = 1.0f - sums.transmittance.part[part], zero = splat(0.0f);
      store(planes + part * kLanes, select(a > 0.0f, sums.depth.part[part] / a, zero));
    }
    write_block(planes, in, 1, x0, y0, out.depth);
  }
  if (level < kEverything) return;
  if (out.median_depth != nullptr) {
    store(planes, sums.median);
    write_block(planes, in, 1, x0, y0, out.median_depth);
  }
  if (out.normal != nullptr) {
    alignas(64) float length[kBlockPixels];
    for (int c = 0; c < 3; ++c) store(planes + c * kBlockPixels, sums.normal[c]);
    for (int i = 0; i < kBlockPixels; ++i) {
      const float x = planes[i], y = planes[kBlockPixels + i], z = planes[2 * kBlockPixels + i];
      length[i] = std::max(std::sqrt(x * x + y * y + z * z), 1e-20f);
      for (int c = 0; c < 3; ++c) planes[c * kBlockPixels + i] /= length[i];
    }
    write_block(planes, in, 3, x0, y0, out.normal);
    write_block(length, in, 1, x0, y0, out.normal_length);
  }
  if (out.features != nullptr) write_block(features, in, in.feature_count, x0, y0, out.features);
}

template <Level level>
void blend_tile(const RasterizeInputs& in, const RasterizeOutputs& out, RasterizeState& state, int64_t index,
                Scratch& scratch) {
  const Tile tile = tile_at(state, index);
  for (int block = 0; block < kTileBlocks; ++block) {
    clear<level>(scratch.sums[block]);
    scratch.sums[block].transmittance = first_transmittance(block_pixels(tile, block), in);
  }
  const bool with_features = level == kEverything && out.features != nullptr;
  const int feature_floats = in.feature_count * kBlockPixels;
  if (with_features) scratch.features.assign(static_cast<size_t>(kTileBlocks) * feature_floats, 0.0f);
  const bool contributions = level == kEverything && out.contribution != nullptr;

  uint32_t alive = (1u << kTileBlocks) - 1;
  for (int64_t begin = tile.begin; begin < tile.end; begin += kBatch) {
    const int64_t end = std::min(begin + kBatch, tile.end);
    const TilePair* pairs = state.pairs.data() + begin;
    if (contributions) std::fill(scratch.contribution, scratch.contribution + (end - begin), 0.0f);
    if (alive != 0) {
      load_batch(state, begin, end, scratch.batch);
      for (int block = 0; block < kTileBlocks; ++block) {
        BlockSums& sums = scratch.sums[block];
        if ((alive >> block & 1) == 0) continue;
        blend_block<level>(in, out, state, pairs, block_pixels(tile, block), scratch.batch.lists[block],
                           scratch.batch.counts[block], scratch, sums,
                           with_features ? scratch.features.data() + block * feature_floats : nullptr);
        bool any_alive = false;
        for (const f32& t : sums.transmittance.part) any_alive |= some(at_least(t, splat(math::kStop)));
        if (!any_alive) alive &= ~(1u << block);
      }
    }
    if (contributions)
      for (int64_t i = 0; i < end - begin; ++i) state.slot_sums[pairs[i].slot] = scratch.contribution[i];
    else if (alive == 0)
      break;
  }
  for (int block = 0; block < kTileBlocks; ++block) {
    const int x0 = tile.x0 + kBlock * (block % 4), y0 = tile.y0 + kBlock * (block / 4);
    if (x0 < in.width && y0 < in.height)
      write_outputs<level>(in, out, x0, y0, scratch.sums[block],
                           with_features ? scratch.features.data() + block * feature_floats : nullptr);
  }
}

void sum_contributions(const RasterizeInputs& in, const RasterizeOutputs& out, const RasterizeState& state) {
  parallel_ranges(in.count, kChunk, [&](int64_t begin, int64_t end) {
    const int64_t first = state.chunks[begin / kChunk].first_slot;
    for (int64_t i = begin; i < end; ++i) {
      float total = 0.0f;
      for (uint32_t h = 0; h < state.hits[i].count; ++h) total += state.slot_sums[first + state.hits[i].begin + h];
      out.contribution[i] = total;
    }
  });
}

}  // namespace

void blend_forward(const RasterizeInputs& in, const RasterizeOutputs& out, RasterizeState& state) {
  const int64_t tiles = static_cast<int64_t>(state.tiles_x) * state.tiles_y;
  const bool everything =
      out.median_depth != nullptr || out.normal != nullptr || out.features != nullptr || out.contribution != nullptr;
  if (out.contribution != nullptr) state.slot_sums.reserve(state.pair_count);
  parallel_chunks(tiles, [&](int64_t tile) {
    Scratch& scratch = own_scratch<Scratch>();
    if (everything)
      blend_tile<kEverything>(in, out, state, tile, scratch);
    else if (out.depth != nullptr)
      blend_tile<kWithDepth>(in, out, state, tile, scratch);
    else
      blend_tile<kColorOnly>(in, out, state, tile, scratch);
  });
  if (out.contribution != nullptr) sum_contributions(in, out, state);
}

}  // namespace recon::RECON_ISA
