// Stage 1 of the backward: replay each tile front to back and sum, for every pair, what the gradients need.
//
// `behind` is g.(everything a pixel has not yet passed), starting from g.(final colour): see math::blend_adjoint. For
// sixteen pixels and a run of kLanes Gaussians the loop leaves q and w (math/alpha.h) in two small matrices; the sums
// over pixels are then products with constant matrices (monomials of the pixel's place; upstream gradients), done with
// Gaussians in the lanes after a transpose, which is cheaper than nine sums across lanes per Gaussian.
#include <vector>

#include "cpu/threads.h"
#include "rasterize/blend_tile.h"
#include "rasterize/rasterize_cpu.h"

namespace recon::RECON_ISA {
namespace {

struct Wanted {
  bool depth, median, normal, features, absolute;
};

// Upstream gradients of one block, by plane, with the outputs' own divisions already undone.
struct BlockGradients {
  alignas(64) float color[3][kBlockPixels];
  alignas(64) float depth[kBlockPixels];  // of the accumulated, not the expected depth
  alignas(64) float median[kBlockPixels];
  alignas(64) float normal[3][kBlockPixels];  // of the accumulated normal
  Block transmittance, behind;
};

struct Scratch {
  Batch batch;
  BlockGradients blocks[kTileBlocks];
  alignas(64) float rows[kBatch][kRowSize];
  std::vector<float> feature_gradients;  // [blocks][C][16]
  std::vector<float> feature_rows;       // [batch][C]
  alignas(64) float q[kLanes][kBlockPixels], w[kLanes][kBlockPixels];
  alignas(64) float u[kLanes], v[kLanes];
};

// Gradients of one block's pixels.
template <Level level>
void read_gradients(const RasterizeInputs& in, const RasterizeOutputs& out, const RasterizeUpstream& up, int x0, int y0,
                    const Wanted& wanted, BlockGradients& g, float* feature_gradients) {
  alignas(64) float alpha[kBlockPixels], d_alpha[kBlockPixels] = {}, behind[kBlockPixels] = {};
  alignas(64) float planes[3 * kBlockPixels];
  read_block(out.alpha, in, 1, x0, y0, alpha);
  if (up.alpha != nullptr) read_block(up.alpha, in, 1, x0, y0, d_alpha);
  if (up.color != nullptr) {
    read_block(up.color, in, 3, x0, y0, g.color[0]);
    read_block(out.color, in, 3, x0, y0, planes);
    for (int c = 0; c < 3; ++c)
      for (int i = 0; i < kBlockPixels; ++i) behind[i] += g.color[c][i] * planes[c * kBlockPixels + i];
  } else {
    std::fill(g.color[0], g.color[0] + 3 * kBlockPixels, 0.0f);
  }
  if (level >= kWithDepth) {
    std::fill(g.depth, g.depth + kBlockPixels, 0.0f);
    if (wanted.depth) {
      alignas(64) float upstream[kBlockPixels];
      read_block(up.depth, in, 1, x0, y0, upstream);
      read_block(out.depth, in, 1, x0, y0, planes);
      for (int i = 0; i < kBlockPixels; ++i) {
        if (!(alpha[i] > 0.0f)) continue;
        g.depth[i] = upstream[i] / alpha[i];
        d_alpha[i] -= g.depth[i] * planes[i];
        behind[i] += upstream[i] * planes[i];
      }
    }
  }
  if (level == kEverything) {
    std::fill(g.median, g.median + kBlockPixels, 0.0f);
    if (wanted.median) read_block(up.median_depth, in, 1, x0, y0, g.median);
    std::fill(g.normal[0], g.normal[0] + 3 * kBlockPixels, 0.0f);
    if (wanted.normal) {
      alignas(64) float length[kBlockPixels];
      read_block(up.normal, in, 3, x0, y0, g.normal[0]);
      read_block(out.normal, in, 3, x0, y0, planes);
      read_block(out.normal_length, in, 1, x0, y0, length);
      for (int i = 0; i < kBlockPixels; ++i) {
        float along = 0.0f;
        for (int c = 0; c < 3; ++c) along += g.normal[c][i] * planes[c * kBlockPixels + i];
        const float scale = length[i] > 1e-20f ? 1.0f / length[i] : 0.0f;
        // Orthogonal to the normal, so that nothing of it lies "behind" at the start.
        for (int c = 0; c < 3; ++c) g.normal[c][i] = scale * (g.normal[c][i] - along * planes[c * kBlockPixels + i]);
      }
    }
    if (wanted.features) {
      std::vector<float> values(static_cast<size_t>(in.feature_count) * kBlockPixels);
      read_block(up.features, in, in.feature_count, x0, y0, feature_gradients);
      read_block(out.features, in, in.feature_count, x0, y0, values.data());
      for (int c = 0; c < in.feature_count; ++c)
        for (int i = 0; i < kBlockPixels; ++i)
          behind[i] += feature_gradients[c * kBlockPixels + i] * values[c * kBlockPixels + i];
    }
  }
  for (int i = 0; i < kBlockPixels; ++i) behind[i] -= d_alpha[i] * (1.0f - alpha[i]);
  g.behind = load_block(behind);
}

// Sums of one run of Gaussians (lanes) over the block's pixels, added to their rows.
template <Level level>
RECON_INLINE void add_run(const RasterizeInputs& in, const Wanted& wanted, Scratch& scratch, const BlockGradients& g,
                          const float* feature_gradients, float center_x, float center_y, const int32_t* list, int run) {
  const f32 zero = splat(0.0f);
  f32 fields[16];
  for (auto& field : fields) field = zero;

  // Moments about the block's centre, row by row of pixels.
  f32 row_sum[kBlock], row_x[kBlock], row_xx[kBlock];
  for (int part = 0; part < kParts; ++part) {
    f32 pixel[kLanes];
    for (int i = 0; i < kLanes; ++i) pixel[i] = load(scratch.q[i] + part * kLanes);
    transpose(pixel);
    for (int r = 0; r < kLanes / kBlock; ++r) {
      const f32* p = pixel + kBlock * r;
      const int row = part * kLanes / kBlock + r;
      const f32 outer = p[0] + p[3], inner = p[1] + p[2];
      row_sum[row] = outer + inner;
      row_x[row] = fma(splat(1.5f), p[3] - p[0], 0.5f * (p[2] - p[1]));
      row_xx[row] = fma(splat(2.25f), outer, 0.25f * inner);
    }
  }
  const f32 outer = row_sum[0] + row_sum[3], inner = row_sum[1] + row_sum[2];
  const f32 one = outer + inner;
  const f32 y = fma(splat(1.5f), row_sum[3] - row_sum[0], 0.5f * (row_sum[2] - row_sum[1]));
  const f32 yy = fma(splat(2.25f), outer, 0.25f * inner);
  const f32 x = (row_x[0] + row_x[3]) + (row_x[1] + row_x[2]);
  const f32 xy = fma(splat(1.5f), row_x[3] - row_x[0], 0.5f * (row_x[2] - row_x[1]));
  const f32 xx = (row_xx[0] + row_xx[3]) + (row_xx[1] + row_xx[2]);
  // Moved to each Gaussian's centre.
  const f32 dx = center_x - load(scratch.u), dy = center_y - load(scratch.v);
  fields[kRowOne] = one;
  fields[kRowX] = fma(dx, one, x);
  fields[kRowY] = fma(dy, one, y);
  fields[kRowXX] = fma(dx, x + fields[kRowX], xx);
  fields[kRowYY] = fma(dy, y + fields[kRowY], yy);
  fields[kRowXY] = fma(dy, fields[kRowX], fma(dx, y, xy));

  for (int part = 0; part < kParts; ++part) {
    f32 pixel[kLanes];
    for (int i = 0; i < kLanes; ++i) pixel[i] = load(scratch.w[i] + part * kLanes);
    transpose(pixel);
    for (int i = 0; i < kLanes; ++i) {
      const int at = part * kLanes + i;
      for (int c = 0; c < 3; ++c) fields[kRowColor + c] = fma(pixel[i], splat(g.color[c][at]), fields[kRowColor + c]);
      if (level >= kWithDepth) fields[kRowDepth] = fma(pixel[i], splat(g.depth[at]), fields[kRowDepth]);
      if (level == kEverything)
        for (int c = 0; c < 3; ++c)
          fields[kRowNormal + c] = fma(pixel[i], splat(g.normal[c][at]), fields[kRowNormal + c]);
    }
    if (level == kEverything && wanted.features)
      for (int c = 0; c < in.feature_count; ++c) {
        f32 total = zero;
        for (int i = 0; i < kLanes; ++i)
          total = fma(pixel[i], splat(feature_gradients[c * kBlockPixels + part * kLanes + i]), total);
        for (int i = 0; i < run; ++i) scratch.feature_rows[list[i] * in.feature_count + c] += total[i];
      }
  }

  for (int part = 0; part < 16 / kLanes; ++part) {
    f32* square = fields + part * kLanes;
    transpose(square);
    for (int i = 0; i < run; ++i) {
      float* row = scratch.rows[list[i]] + part * kLanes;
      store(row, load(row) + square[i]);
    }
  }
}

template <Level level>
RECON_INLINE void replay_block(const RasterizeInputs& in, const Wanted& wanted, const TilePair* pairs,
                               const BlockPixels& pixels, const int32_t* list, int count, Scratch& scratch,
                               BlockGradients& g, const float* feature_gradients) {
  Block transmittances = g.transmittance, behinds = g.behind;
  Block color[3], depth;
  for (int c = 0; c < 3; ++c) color[c] = load_block(g.color[c]);
  if (level >= kWithDepth) depth = load_block(g.depth);
  const float center_x = pixels.x[0][0] + 1.5f, center_y = pixels.y[0][0] + 1.5f;

  for (int first = 0; first < count; first += kLanes) {
    int run = std::min(kLanes, count - first);
    bool alive_somewhere = true;
    int j = 0;
    for (; j < run && alive_somewhere; ++j) {
      const int place = list[first + j];
      const Splat& s = scratch.batch.splats[place];
      scratch.u[j] = s.u;
      scratch.v[j] = s.v;
      alive_somewhere = false;
      for (int part = 0; part < kParts; ++part) {
        const f32 transmittance = transmittances.part[part];
        const mask alive = at_least(transmittance, splat(math::kStop));
        alive_somewhere |= some(alive);
        const Footprint f = footprint(s, pixels.x[part], pixels.y[part]);
        const f32 alpha = min(f.alpha, splat(math::kAlphaMax));
        const mask counts = alive & at_least(alpha, splat(math::kAlphaMin));
        const f32 weight = keep(counts, alpha * transmittance);
        f32 gc = color[0].part[part] * s.color[0];
        gc = fma(color[1].part[part], splat(s.color[1]), gc);
        gc = fma(color[2].part[part], splat(s.color[2]), gc);
        if (level >= kWithDepth) gc = fma(depth.part[part], splat(s.depth), gc);
        if (level == kEverything) {
          for (int c = 0; c < 3; ++c) gc = fma(load(g.normal[c] + part * kLanes), splat(s.normal[c]), gc);
          if (wanted.features) {
            const float* own = in.features + static_cast<int64_t>(pairs[place].splat) * in.feature_count;
            for (int c = 0; c < in.feature_count; ++c)
              gc = fma(load(feature_gradients + c * kBlockPixels + part * kLanes), splat(own[c]), gc);
          }
        }
        const f32 behind = fnma(weight, gc, behinds.part[part]);
        // math::blend_adjoint times alpha, with one reciprocal.
        const f32 odds = alpha * reciprocal(1.0f - alpha);
        const f32 q = keep(counts & at_most(f.alpha, splat(math::kAlphaMax)), fnma(behind, odds, alpha * transmittance * gc));
        store(scratch.q[j] + part * kLanes, q);
        store(scratch.w[j] + part * kLanes, weight);
        const f32 after = transmittance - weight;
        if (level == kEverything) {
          if (wanted.median) {
            const mask crossing =
                at_most(after, splat(math::kMedian)) & at_least(transmittance - math::kMedian, splat(1e-30f));
            scratch.rows[place][kRowDepth] += sum(keep(crossing, load(g.median + part * kLanes)));
          }
          if (wanted.absolute) {
            constexpr float kLn2 = 0.6931471805599453f;
            const f32 along_x = fma(2.0f * splat(s.exponent_a), f.dx, s.exponent_b * f.dy);
            const f32 along_y = fma(2.0f * splat(s.exponent_c), f.dy, s.exponent_b * f.dx);
            scratch.rows[place][kRowAbsoluteX] += kLn2 * sum(abs(q * along_x));
            scratch.rows[place][kRowAbsoluteY] += kLn2 * sum(abs(q * along_y));
          }
        }
        behinds.part[part] = behind;
        transmittances.part[part] = after;
      }
    }
    run = j;
    for (; j < kLanes; ++j)
      for (int i = 0; i < kBlockPixels; i += kLanes) {
        store(scratch.q[j] + i, splat(0.0f));
        store(scratch.w[j] + i, splat(0.0f));
      }
    add_run<level>(in, wanted, scratch, g, feature_gradients, center_x, center_y, list + first, run);
    if (!alive_somewhere) break;
  }
  g.transmittance = transmittances;
  g.behind = behinds;
}

template <Level level>
void replay_tile(const RasterizeInputs& in, const RasterizeOutputs& out, const RasterizeUpstream& upstream,
                 const Wanted& wanted, RasterizeState& state, int64_t index, Scratch& scratch) {
  const Tile tile = tile_at(state, index);
  const int channels = in.feature_count, feature_floats = channels * kBlockPixels;
  const bool with_features = level == kEverything && wanted.features;
  if (with_features) scratch.feature_gradients.resize(static_cast<size_t>(kTileBlocks) * feature_floats);
  uint32_t alive = 0, ready = 0;  // bits by block
  for (int block = 0; block < kTileBlocks; ++block)
    if (tile.x0 + kBlock * (block % 4) < in.width && tile.y0 + kBlock * (block / 4) < in.height) alive |= 1u << block;
  for (int64_t begin = tile.begin; begin < tile.end; begin += kBatch) {
    const int64_t end = std::min(begin + kBatch, tile.end);
    const int size = static_cast<int>(end - begin);
    const TilePair* pairs = state.pairs.data() + begin;
    std::fill(scratch.rows[0], scratch.rows[0] + size * kRowSize, 0.0f);
    if (with_features) scratch.feature_rows.assign(static_cast<size_t>(size) * channels, 0.0f);
    if (alive != 0) {
      load_batch(state, begin, end, scratch.batch);
      for (int block = 0; block < kTileBlocks; ++block) {
        if ((alive >> block & 1) == 0 || scratch.batch.counts[block] == 0) continue;
        BlockGradients& g = scratch.blocks[block];
        float* features = with_features ? scratch.feature_gradients.data() + block * feature_floats : nullptr;
        const BlockPixels pixels = block_pixels(tile, block);
        if ((ready >> block & 1) == 0) {
          read_gradients<level>(in, out, upstream, tile.x0 + kBlock * (block % 4), tile.y0 + kBlock * (block / 4), wanted,
                                g, features);
          g.transmittance = first_transmittance(pixels, in);
          ready |= 1u << block;
        }
        replay_block<level>(in, wanted, pairs, pixels, scratch.batch.lists[block], scratch.batch.counts[block], scratch,
                            g, features);
        bool any_alive = false;
        for (const f32& t : g.transmittance.part) any_alive |= some(at_least(t, splat(math::kStop)));
        if (!any_alive) alive &= ~(1u << block);
      }
    }
    for (int i = 0; i < size; ++i) {
      float* row = state.rows.data() + static_cast<int64_t>(pairs[i].slot) * kRowSize;
      for (int k = 0; k < kRowSize; k += kLanes) store(row + k, load(scratch.rows[i] + k));
      if (with_features)
        std::copy_n(scratch.feature_rows.data() + i * channels, channels,
                    state.feature_rows.data() + static_cast<int64_t>(pairs[i].slot) * channels);
    }
  }
}

// The background shows through with the final transmittance.
void background_gradient(const RasterizeInputs& in, const RasterizeOutputs& out, const RasterizeUpstream& upstream,
                         const RasterizeGradients& gradients, RasterizeState& state) {
  float* rows = state.row_sums.reserve(3 * static_cast<size_t>(in.height));
  parallel_ranges(in.height, 16, [&](int64_t begin, int64_t end) {
    for (int64_t y = begin; y < end; ++y) {
      float sums[3] = {};
      for (int64_t at = y * in.width; upstream.color != nullptr && at < (y + 1) * in.width; ++at)
        for (int c = 0; c < 3; ++c) sums[c] += upstream.color[3 * at + c] * (1.0f - out.alpha[at]);
      std::copy_n(sums, 3, rows + 3 * y);
    }
  });
  double totals[3] = {};
  for (int y = 0; y < in.height; ++y)
    for (int c = 0; c < 3; ++c) totals[c] += rows[3 * y + c];
  for (int c = 0; c < 3; ++c) gradients.background[c] = static_cast<float>(totals[c]);
}

}  // namespace

void blend_backward(const RasterizeInputs& in, const RasterizeOutputs& out, const RasterizeUpstream& upstream,
                    const RasterizeGradients& gradients, RasterizeState& state) {
  const int64_t tiles = static_cast<int64_t>(state.tiles_x) * state.tiles_y;
  const Wanted wanted = {upstream.depth != nullptr, upstream.median_depth != nullptr, upstream.normal != nullptr,
                         upstream.features != nullptr, gradients.absolute && gradients.screen_offsets != nullptr};
  const bool everything = wanted.median || wanted.normal || wanted.features || wanted.absolute;
  state.rows.reserve(state.pair_count * kRowSize);
  if (wanted.features) state.feature_rows.reserve(state.pair_count * in.feature_count);
  parallel_chunks(tiles, [&](int64_t tile) {
    Scratch& scratch = own_scratch<Scratch>();
    if (everything)
      replay_tile<kEverything>(in, out, upstream, wanted, state, tile, scratch);
    else if (wanted.depth)
      replay_tile<kWithDepth>(in, out, upstream, wanted, state, tile, scratch);
    else
      replay_tile<kColorOnly>(in, out, upstream, wanted, state, tile, scratch);
  });
  if (gradients.background != nullptr) background_gradient(in, out, upstream, gradients, state);
}

}  // namespace recon::RECON_ISA
