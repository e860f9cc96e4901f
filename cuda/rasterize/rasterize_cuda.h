// The CUDA rasterizer. Its stages, all on one stream and without waiting for the host where a capacity is given:
//
//   project  ->  splats, tiles per Gaussian, depth keys     (thread per Gaussian)
//   bin      ->  pairs of tile and Gaussian by tile, nearest first   (two radix sorts: by depth, then by tile)
//   blend    ->  pictures; backward: one row of sums a Gaussian      (block per tile, warp per 8 x 4 pixels)
//   adjoint  ->  gradients of the inputs                    (thread per Gaussian)
#pragma once

#include <cstdint>

#include "device/scratch.h"
#include "rasterize/rasterize.h"

namespace recon::device {

// What the forward keeps for the backward; memory from the `keep` allocator of rasterize_forward.
struct RasterizeState {
  void* splats = nullptr;              // [N], see splat.h
  const uint32_t* pairs = nullptr;     // Gaussians by tile, nearest first
  uint32_t* tile_ranges = nullptr;     // [tiles, 2] first pair and end
  uint32_t* pair_count = nullptr;      // pairs that the picture needs; more than the capacity: the farthest are missing
  int64_t capacity = 0;                // pairs there is room for
};

// capacity: room for that many pairs of Gaussian and tile; 0 to count them first, which waits for the device.
RasterizeState rasterize_forward(const RasterizeInputs& in, const RasterizeOutputs& out, int64_t capacity, void* stream,
                                 const Allocate& keep, const Allocate& scratch);

void rasterize_backward(const RasterizeInputs& in, const RasterizeOutputs& out, const RasterizeUpstream& upstream,
                        const RasterizeGradients& gradients, const RasterizeState& state, void* stream,
                        const Allocate& scratch);

}  // namespace recon::device
