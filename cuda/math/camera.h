// A pinhole camera as the kernels see it, and where its gradients are summed.
#pragma once

#include "math/vector.h"

namespace recon::math {

// The slopes x/z and y/z at which the projection is linearised are clamped to this multiple of the half field of view
// beyond the image edge, so that Gaussians far outside do not smear over the picture (3DGS, reference implementation's
// 1.3 x the half field of view; Kerbl et al. 2023).
constexpr float kSlopeMargin = 0.3f;

template <class S>
struct Camera {
  S rotation[9];     // world to camera, row-major
  S translation[3];
  S fx, fy, cx, cy;  // pixels
  S min_slope_x, max_slope_x, min_slope_y, max_slope_y;
  S center[3];       // in world axes: -transpose(R) t
};

// world_to_camera[16] row-major, intrinsics[4] = fx, fy, cx, cy.
template <class S>
RECON_HD Camera<S> make_camera(const S* world_to_camera, const S* intrinsics, int width, int height) {
  Camera<S> camera;
  for (int i = 0; i < 3; ++i) {
    for (int j = 0; j < 3; ++j) camera.rotation[3 * i + j] = world_to_camera[4 * i + j];
    camera.translation[i] = world_to_camera[4 * i + 3];
  }
  for (int j = 0; j < 3; ++j)
    camera.center[j] = -(camera.rotation[j] * camera.translation[0] + camera.rotation[3 + j] * camera.translation[1] +
                         camera.rotation[6 + j] * camera.translation[2]);
  camera.fx = intrinsics[0];
  camera.fy = intrinsics[1];
  camera.cx = intrinsics[2];
  camera.cy = intrinsics[3];
  const S margin_x = kSlopeMargin * 0.5f * width / camera.fx, margin_y = kSlopeMargin * 0.5f * height / camera.fy;
  camera.min_slope_x = -camera.cx / camera.fx - margin_x;
  camera.max_slope_x = (width - camera.cx) / camera.fx + margin_x;
  camera.min_slope_y = -camera.cy / camera.fy - margin_y;
  camera.max_slope_y = (height - camera.cy) / camera.fy + margin_y;
  return camera;
}

// Sums over Gaussians; `center` holds the part that reaches the camera through the SH view direction.
template <class F>
struct CameraGradient {
  F rotation[9];
  F translation[3];
  F fx, fy, cx, cy;
  Vector3<F> center;
};

// Moves the gradient with respect to the camera centre -transpose(R) t into rotation and translation. Once, at the end.
template <class F, class S>
RECON_HD void center_adjoint(const Camera<S>& camera, CameraGradient<F>& g) {
  const F c[3] = {g.center.x, g.center.y, g.center.z};
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 3; ++j) {
      g.rotation[3 * i + j] -= camera.translation[i] * c[j];
      g.translation[i] -= camera.rotation[3 * i + j] * c[j];
    }
}

}  // namespace recon::math
