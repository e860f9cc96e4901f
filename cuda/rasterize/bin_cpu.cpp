// Stage 2 of the forward: order visible Gaussians by depth, then their tiles' pairs by tile, keeping the depth order.
#include <algorithm>
#include <stdexcept>

#include "cpu/threads.h"
#include "rasterize/rasterize_cpu.h"

namespace recon::RECON_ISA {
namespace {

constexpr int kDigitBits = 12;  // two passes for the usual 24 bits of depth; the counters fit a first-level cache
constexpr int kDigits = 1 << kDigitBits;
// Items per part of a parallel pass; a fixed number, so that parts do not depend on the threads.
constexpr int64_t kPart = 32768;

// One stable pass of a radix sort over `digit` = (key - base) >> shift.
void radix_pass(const uint64_t* from, uint64_t* to, int64_t count, uint32_t base, int shift, Buffer<uint32_t>& histogram) {
  const int64_t parts = std::max<int64_t>(1, (count + kPart - 1) / kPart);
  uint32_t* counts = histogram.reserve(parts * kDigits);
  const auto digit = [base, shift](uint64_t key) {
    return ((static_cast<uint32_t>(key >> 32) - base) >> shift) & (kDigits - 1);
  };
  parallel_chunks(parts, [&](int64_t part) {
    uint32_t* own = counts + part * kDigits;
    std::fill(own, own + kDigits, 0u);
    const int64_t end = std::min(count, (part + 1) * kPart);
    for (int64_t i = part * kPart; i < end; ++i) ++own[digit(from[i])];
  });
  uint32_t total = 0;
  for (int d = 0; d < kDigits; ++d)
    for (int64_t part = 0; part < parts; ++part) {
      const uint32_t here = counts[part * kDigits + d];
      counts[part * kDigits + d] = total;
      total += here;
    }
  parallel_chunks(parts, [&](int64_t part) {
    uint32_t* own = counts + part * kDigits;
    const int64_t end = std::min(count, (part + 1) * kPart);
    for (int64_t i = part * kPart; i < end; ++i) to[own[digit(from[i])]++] = from[i];
  });
}

// Leaves the visible Gaussians' keys in state.keys, nearest first, ties by index.
void sort_by_depth(const RasterizeInputs& in, RasterizeState& state) {
  const int64_t chunks = (in.count + kChunk - 1) / kChunk;
  uint64_t* keys = state.keys.data();
  int64_t count = 0;
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    const int visible = state.chunks[chunk].visible;
    if (count != chunk * kChunk) std::copy(keys + chunk * kChunk, keys + chunk * kChunk + visible, keys + count);
    count += visible;
  }
  state.visible = count;
  uint32_t lowest = ~0u, highest = 0;
  for (int64_t i = 0; i < count; ++i) {
    const uint32_t depth = static_cast<uint32_t>(keys[i] >> 32);
    lowest = std::min(lowest, depth);
    highest = std::max(highest, depth);
  }
  uint64_t *from = keys, *to = state.sorted.reserve(count);
  for (int shift = 0; count > 1 && shift < 32 && (highest - lowest) >> shift != 0; shift += kDigitBits) {
    radix_pass(from, to, count, lowest, shift, state.histogram);
    std::swap(from, to);
  }
  if (from != keys) std::swap(state.keys, state.sorted);
}

// In depth order a Gaussian's hits lie anywhere in memory: ask for the range, then for the hits, some steps ahead.
inline void prefetch_hits(const RasterizeState& state, const uint64_t* order, int64_t k) {
  constexpr int kRangeAhead = 32, kHitsAhead = 16;
  if (k + kRangeAhead >= state.visible) return;
  __builtin_prefetch(&state.hits[static_cast<uint32_t>(order[k + kRangeAhead])]);
  const uint32_t i = static_cast<uint32_t>(order[k + kHitsAhead]);
  __builtin_prefetch(state.chunks[i / kChunk].hits.data() + state.hits[i].begin);
}

}  // namespace

void bin_splats(const RasterizeInputs& in, RasterizeState& state) {
  if (state.pair_count >= (int64_t{1} << 31))
    throw std::length_error("the picture needs more than 2^31 pairs of Gaussian and tile; render it in parts");
  sort_by_depth(in, state);
  const int64_t tiles = static_cast<int64_t>(state.tiles_x) * state.tiles_y;
  // Few parts when there are many tiles: each part has a counter per tile.
  const int64_t parts = std::min<int64_t>(16, std::max<int64_t>(1, state.visible / 4096));
  const int64_t per_part = (state.visible + parts - 1) / parts;
  uint32_t* counts = state.histogram.reserve(parts * tiles);
  const uint64_t* order = state.keys.data();
  parallel_chunks(parts, [&](int64_t part) {
    uint32_t* own = counts + part * tiles;
    std::fill(own, own + tiles, 0u);
    const int64_t end = std::min(state.visible, (part + 1) * per_part);
    for (int64_t k = part * per_part; k < end; ++k) {
      prefetch_hits(state, order, k);
      const uint32_t i = static_cast<uint32_t>(order[k]);
      const TileHit* hits = state.chunks[i / kChunk].hits.data() + state.hits[i].begin;
      for (uint32_t h = 0; h < state.hits[i].count; ++h) ++own[hits[h].tile];
    }
  });
  uint32_t* tile_begin = state.tile_begin.reserve(tiles + 1);
  uint32_t total = 0;
  for (int64_t tile = 0; tile < tiles; ++tile) {
    tile_begin[tile] = total;
    for (int64_t part = 0; part < parts; ++part) {
      const uint32_t here = counts[part * tiles + tile];
      counts[part * tiles + tile] = total;
      total += here;
    }
  }
  tile_begin[tiles] = total;
  TilePair* pairs = state.pairs.reserve(state.pair_count);
  parallel_chunks(parts, [&](int64_t part) {
    uint32_t* own = counts + part * tiles;
    const int64_t end = std::min(state.visible, (part + 1) * per_part);
    for (int64_t k = part * per_part; k < end; ++k) {
      prefetch_hits(state, order, k);
      const uint32_t i = static_cast<uint32_t>(order[k]);
      const ChunkHits& chunk = state.chunks[i / kChunk];
      const TileHit* hits = chunk.hits.data() + state.hits[i].begin;
      const uint32_t slot = static_cast<uint32_t>(chunk.first_slot) + state.hits[i].begin;
      for (uint32_t h = 0; h < state.hits[i].count; ++h)
        pairs[own[hits[h].tile]++] = {i, hits[h].blocks, slot + h};
    }
  });
}

}  // namespace recon::RECON_ISA
