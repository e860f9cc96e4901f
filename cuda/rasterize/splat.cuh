// What the stages of the CUDA rasterizer exchange.
#pragma once

#include "device/launch.h"
#include "rasterize/rasterize_cuda.h"

namespace recon::device {

constexpr int kTile = 16;           // pixels; one block of threads
constexpr int kSubtileWidth = 8;    // pixels of one warp
constexpr int kSubtileHeight = 4;
constexpr float kLog2E = 1.4426950408889634f;
constexpr float kLn2 = 0.6931471805599453f;

// A projected Gaussian as a pixel needs it: alpha = 2^(log2_opacity + dx (a dx + b dy) + c dy dy).
struct alignas(16) Splat {
  float4 place;   // u, v, a, b
  float4 shape;   // c, log2_opacity, depth, unused
  float4 color;   // r, g, b, unused
  float4 normal;  // x, y, z, unused
};

// Sums over the pixels of a Gaussian, in the backward.
enum GradientRow {
  kRowOne, kRowX, kRowY, kRowXX, kRowXY, kRowYY,  // moments of q, see math/alpha.h
  kRowColor,                                      // 3
  kRowDepth = kRowColor + 3,
  kRowAbsoluteX, kRowAbsoluteY,
  kRowNormal,                                     // 3
  kRowUnused = kRowNormal + 3,
  kRowSize
};
static_assert(kRowSize == 16, "the warp's transposing sum adds sixteen values");

struct TileGrid {
  int x, y;
};
inline TileGrid tile_grid(const RasterizeInputs& in) {
  return {(in.width + kTile - 1) / kTile, (in.height + kTile - 1) / kTile};
}

// The stages, each in the file of its name.
void blend_forward(const RasterizeInputs& in, const RasterizeOutputs& out, const RasterizeState& state, void* stream);
void blend_backward(const RasterizeInputs& in, const RasterizeOutputs& out, const RasterizeUpstream& upstream,
                    const RasterizeState& state, float* rows, float* feature_gradient, double* background_gradient,
                    bool absolute, void* stream);
void project_backward(const RasterizeInputs& in, const RasterizeOutputs& out, const RasterizeGradients& gradients,
                      const float* rows, double* sums, void* stream);

// Sums over Gaussians and pixels that end in the camera's and the background's gradient.
enum SharedSum { kSumCamera, kSumBackground = kSumCamera + 19, kSumSize = kSumBackground + 3 };

}  // namespace recon::device
