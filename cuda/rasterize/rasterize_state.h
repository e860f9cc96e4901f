// What the CPU rasterizer's stages hand to each other, and keep from the forward for the backward.
//
//   project  ->  splats, pairs per Gaussian, depth keys     (parallel over chunks of Gaussians)
//   bin      ->  depth order, pairs sorted by tile          (radix sort, stable counting sort)
//   blend    ->  pictures; backward: one row of sums a pair (parallel over tiles)
//   adjoint  ->  gradients of the inputs                    (parallel over the same chunks)
//
// Independent of the instruction set. Every array is cut the same way for any number of threads, and every sum is
// taken in the order of the data, so results do not depend on the threads.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "cpu/buffer.h"

namespace recon {

// A tile is 4 x 4 blocks of 4 x 4 pixels: a block is what the inner loops hold in registers (one 16-lane register, or
// two of 8 lanes), a tile is what a list of Gaussians is kept for.
constexpr int kBlock = 4;
constexpr int kTile = 16;
constexpr int kBlockPixels = kBlock * kBlock;
constexpr int kTileBlocks = (kTile / kBlock) * (kTile / kBlock);

// Gaussians are projected, and their gradients finished, in chunks of this many.
constexpr int kChunk = 1024;

// A projected Gaussian as a pixel needs it: alpha = 2^(log2_opacity + dx (a dx + b dy) + c dy dy). One cache line.
struct alignas(64) Splat {
  float u, v;
  float exponent_a, exponent_b, exponent_c;
  float log2_opacity;
  float color[3];
  float depth;
  float normal[3];
  float unused[3];
};
static_assert(sizeof(Splat) == 64, "one cache line");

// A tile that a Gaussian meets, with the blocks it can colour (bit 4 * block row + block column).
struct TileHit {
  uint32_t tile, blocks;
};

// The same, sorted by tile; slot is the pair's place in the order of Gaussians, where its gradient row goes.
struct TilePair {
  uint32_t splat, blocks, slot;
};

// Sums over the pixels of a pair, in the backward. Beyond it follow features, where there are any.
enum GradientRow {
  kRowOne, kRowX, kRowY, kRowXX, kRowXY, kRowYY,  // moments of q, see math/alpha.h
  kRowColor,                                      // 3
  kRowDepth = kRowColor + 3,
  kRowAbsoluteX, kRowAbsoluteY,
  kRowNormal,                                     // 3
  kRowUnused = kRowNormal + 3,
  kRowSize
};
static_assert(kRowSize == 16, "one cache line");

struct ChunkHits {
  Buffer<TileHit> hits;
  int64_t count = 0;      // of hits
  int64_t first_slot = 0; // hits of all chunks before
  int visible = 0;        // Gaussians with at least one hit; their (depth bits << 32 | index) are at keys[kChunk * chunk]
};

// A Gaussian's hits, within its chunk.
struct HitRange {
  uint32_t begin, count;
};

struct RasterizeState {
  Buffer<Splat> splats;           // [N]; only visible ones are written
  Buffer<HitRange> hits;          // [N]
  std::vector<ChunkHits> chunks;
  Buffer<uint64_t> keys, sorted;  // visible Gaussians by depth
  int64_t visible = 0;
  Buffer<TilePair> pairs;         // by tile, nearest first
  int64_t pair_count = 0;
  Buffer<uint32_t> tile_begin;    // [tiles + 1]
  int tiles_x = 0, tiles_y = 0;
  Buffer<uint32_t> histogram;
  Buffer<float> rows;             // [pairs, kRowSize] gradient rows in slot order
  Buffer<float> feature_rows;     // [pairs, C]
  Buffer<float> slot_sums;        // [pairs] contributions
  Buffer<float> row_sums;         // [H, 3] background gradients
  Buffer<float> chunk_sums;       // [chunks, 19] camera gradients
};

// States are pooled, so that a training step meets memory that is already mapped.
class RasterizeStatePool {
 public:
  static RasterizeStatePool& instance() {
    static auto* pool = new RasterizeStatePool;
    return *pool;
  }
  std::unique_ptr<RasterizeState> take() {
    std::lock_guard<std::mutex> lock(mutex_);
    if (free_.empty()) return std::make_unique<RasterizeState>();
    auto state = std::move(free_.back());
    free_.pop_back();
    return state;
  }
  void give(std::unique_ptr<RasterizeState> state) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (free_.size() < kKept) free_.push_back(std::move(state));
  }

 private:
  static constexpr size_t kKept = 4;  // more are only alive when many views are rendered before one backward
  std::mutex mutex_;
  std::vector<std::unique_ptr<RasterizeState>> free_;
};

}  // namespace recon
