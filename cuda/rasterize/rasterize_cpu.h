// The CPU rasterizer's stages; see rasterize_state.h for what they exchange.
#pragma once

#include "cpu/dispatch.h"
#include "rasterize/rasterize.h"
#include "rasterize/rasterize_state.h"

RECON_CPU_KERNELS(
  // Splats, radii, and the tiles and blocks that each Gaussian meets.
  void project_gaussians(const RasterizeInputs& in, const RasterizeOutputs& out, RasterizeState& state);
  // Pairs by tile, nearest first. Throws std::length_error beyond 2^31 pairs.
  void bin_splats(const RasterizeInputs& in, RasterizeState& state);
  void blend_forward(const RasterizeInputs& in, const RasterizeOutputs& out, RasterizeState& state);
  // One row of sums per pair.
  void blend_backward(const RasterizeInputs& in, const RasterizeOutputs& out, const RasterizeUpstream& upstream,
                      const RasterizeGradients& gradients, RasterizeState& state);
  // From rows to the gradients of the inputs.
  void project_backward(const RasterizeInputs& in, const RasterizeUpstream& upstream,
                        const RasterizeGradients& gradients, RasterizeState& state);
)
