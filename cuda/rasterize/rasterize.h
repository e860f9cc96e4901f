// The rasterizer's interface to Python, the same for both back ends: plain pointers to float32 in the back end's own
// memory. A null pointer means "not given" (inputs) or "not wanted" (outputs and gradients).
#pragma once

#include <cstdint>

namespace recon {

struct RasterizeInputs {
  int64_t count;                 // N
  int width, height;
  int sh_bases, sh_degree;       // K stored; only (sh_degree + 1)^2 are used
  int feature_count;             // C
  float near_plane;
  bool antialiased;
  const float* means;            // [N, 3]
  const float* quaternions;      // [N, 4]
  const float* scales;           // [N, 3]
  const float* opacities;        // [N]
  const float* sh;               // [N, K, 3], or null
  const float* colors;           // [N, 3], used where sh is null
  const float* features;         // [N, C]
  const float* background;       // [3]
  const float* world_to_camera;  // [4, 4]
  const float* intrinsics;       // [4]
  const float* screen_offsets;   // [N, 2]
};

struct RasterizeOutputs {
  float* color;         // [H, W, 3], always
  float* alpha;         // [H, W], always
  float* depth;         // [H, W]
  float* median_depth;  // [H, W]
  float* normal;        // [H, W, 3]
  float* features;      // [H, W, C]
  float* radii;         // [N], always
  float* contribution;  // [N]
  float* normal_length; // [H, W] length of the blended normal before it is normalised; needed where normal is
};

// dL/d(output); null where it is zero.
struct RasterizeUpstream {
  const float* color;
  const float* alpha;
  const float* depth;
  const float* median_depth;
  const float* normal;
  const float* features;
};

// Written, not added to; null where not wanted.
struct RasterizeGradients {
  float* means;
  float* quaternions;
  float* scales;
  float* opacities;
  float* sh;
  float* colors;
  float* features;
  float* background;       // [3]
  float* world_to_camera;  // [4, 4]
  float* intrinsics;       // [4]
  float* screen_offsets;
  bool absolute;           // screen_offsets gets sums of absolute values
};

}  // namespace recon
