// EWA projection of a 3D Gaussian to the image plane (Zwicker et al. 2001; 3DGS, Kerbl et al. 2023), and its adjoint
// down to mean, quaternion, scales, camera pose and intrinsics.
//
// With M = W R diag(s) (W the camera's rotation, R the Gaussian's), the screen covariance is T transpose(T) + dilation,
// where T = J M has two rows only: t0 = fx/z (M0 - x/z M2), t1 = fy/z (M1 - y/z M2).
#pragma once

#include "math/camera.h"
#include "math/quaternion.h"

namespace recon::math {

// Added to both diagonal entries of the screen covariance, in pixels squared: a low-pass filter of about one pixel (3DGS).
constexpr float kDilation = 0.3f;
// Floor of det / det_dilated under the square root of the opacity compensation (3DGS's antialiasing option).
constexpr float kCompensationFloor = 0.000025f;

template <class F>
struct Projection {
  Vector3<F> point;      // in camera axes; point.z is the depth
  F u, v;                // pixels
  F cov_a, cov_b, cov_c; // dilated screen covariance [[a, b], [b, c]]
  F conic_a, conic_b, conic_c;  // its inverse
  F compensation;        // sqrt(det / det_dilated), for the antialiased mode
};

// Everything the adjoint shares with the forward.
template <class F>
struct ProjectionTerms {
  Matrix3<F> rotation;   // R
  Matrix3<F> axes;       // M, its columns are the scaled axes in camera axes
  F inverse_z, slope_x, slope_y;
  Mask<F> inside_x, inside_y;  // the slope was not clamped
  Vector3<F> edge_x, edge_y;   // M0 - x/z M2, M1 - y/z M2
  F determinant, determinant_raw;
};

template <class F, class S>
RECON_HD Vector3<F> camera_point(const Camera<S>& camera, const Vector3<F>& mean) {
  Vector3<F> p = rotate(camera.rotation, mean);
  return {p.x + camera.translation[0], p.y + camera.translation[1], p.z + camera.translation[2]};
}

template <class F, class S>
RECON_HD Projection<F> project(const Camera<S>& camera, const Vector3<F>& mean, const Quaternion<F>& quaternion,
                               const Vector3<F>& scale, ProjectionTerms<F>& terms) {
  Projection<F> out;
  out.point = camera_point(camera, mean);
  terms.inverse_z = 1.0f / out.point.z;
  const F x = out.point.x * terms.inverse_z, y = out.point.y * terms.inverse_z;
  out.u = camera.fx * x + camera.cx;
  out.v = camera.fy * y + camera.cy;
  const F low_x = F{} + camera.min_slope_x, high_x = F{} + camera.max_slope_x;
  const F low_y = F{} + camera.min_slope_y, high_y = F{} + camera.max_slope_y;
  terms.slope_x = smaller<F>(larger<F>(x, low_x), high_x);
  terms.slope_y = smaller<F>(larger<F>(y, low_y), high_y);
  terms.inside_x = terms.slope_x == x;
  terms.inside_y = terms.slope_y == y;

  terms.rotation = rotation_of_unit(normalized(quaternion));
  Matrix3<F> scaled = terms.rotation;
  for (auto& row : scaled.row) row = {row.x * scale.x, row.y * scale.y, row.z * scale.z};
  terms.axes = rotate(camera.rotation, scaled);
  terms.edge_x = terms.axes.row[0] - terms.slope_x * terms.axes.row[2];
  terms.edge_y = terms.axes.row[1] - terms.slope_y * terms.axes.row[2];
  const Vector3<F> t0 = (camera.fx * terms.inverse_z) * terms.edge_x;
  const Vector3<F> t1 = (camera.fy * terms.inverse_z) * terms.edge_y;
  const F raw_a = dot(t0, t0), raw_c = dot(t1, t1);
  out.cov_a = raw_a + kDilation;
  out.cov_b = dot(t0, t1);
  out.cov_c = raw_c + kDilation;
  // a c - b^2 as a cross product: no cancellation for long thin Gaussians.
  const Vector3<F> normal = cross(t0, t1);
  terms.determinant_raw = dot(normal, normal);
  terms.determinant = terms.determinant_raw + kDilation * (raw_a + raw_c + kDilation);
  const F inverse = 1.0f / terms.determinant;
  out.conic_a = out.cov_c * inverse;
  out.conic_b = -out.cov_b * inverse;
  out.conic_c = out.cov_a * inverse;
  out.compensation = square_root<F>(larger<F>(terms.determinant_raw * inverse, F{} + kCompensationFloor));
  return out;
}

// Index of the shortest axis as three 0/1 weights (the first of equals), so that packs need no branch.
template <class F>
RECON_HD Vector3<F> shortest_axis(const Vector3<F>& scale) {
  const F one = F{} + 1.0f, zero = F{};
  const F x = select<F>(scale.x <= smaller<F>(scale.y, scale.z), one, zero);
  const F y = (1.0f - x) * select<F>(scale.y <= scale.z, one, zero);
  return {x, y, 1.0f - x - y};
}

// The shortest axis as a unit normal in camera axes, turned towards the camera; `signed_axis` gets the weights times
// the sign, what normal_adjoint needs.
template <class F, class S>
RECON_HD Vector3<F> camera_normal(const Camera<S>& camera, const Vector3<F>& scale, const Vector3<F>& point,
                                  const Matrix3<F>& rotation, Vector3<F>& signed_axis) {
  const Vector3<F> axis = shortest_axis(scale);
  const Vector3<F> n =
      rotate(camera.rotation, Vector3<F>{dot(rotation.row[0], axis), dot(rotation.row[1], axis), dot(rotation.row[2], axis)});
  const F sign = select<F>(dot(n, point) > 0.0f, F{} - 1.0f, F{} + 1.0f);
  signed_axis = sign * axis;
  return sign * n;
}

// What the rasterizer hands back for one Gaussian.
template <class F>
struct ProjectionGradient {
  F u, v, depth;
  F conic_a, conic_b, conic_c;  // of 0.5 (a dx^2 + c dy^2) + b dx dy
  F compensation;
  Vector3<F> normal;            // zero where not used
};

template <class F>
struct GaussianGradient {
  Vector3<F> mean;
  Quaternion<F> quaternion;
  Vector3<F> scale;
};

// outer(a, b) added to a row-major [9].
template <class F>
RECON_HD void add_outer(F* m, const Vector3<F>& a, const Vector3<F>& b) {
  const F left[3] = {a.x, a.y, a.z};
  for (int i = 0; i < 3; ++i) {
    m[3 * i] += left[i] * b.x;
    m[3 * i + 1] += left[i] * b.y;
    m[3 * i + 2] += left[i] * b.z;
  }
}

// Adjoint of project() and camera_normal(). kCamera: also add to `camera_gradient` (else it is not touched).
template <bool kCamera, bool kNormal, class F, class S>
RECON_HD GaussianGradient<F> project_adjoint(const Camera<S>& camera, const Vector3<F>& mean,
                                             const Quaternion<F>& quaternion, const Vector3<F>& scale,
                                             const Projection<F>& p, const ProjectionTerms<F>& t,
                                             const ProjectionGradient<F>& g, CameraGradient<F>* camera_gradient) {
  // Inverse: dcov = -K G K with K the conic and G the symmetric gradient.
  const F half_b = 0.5f * g.conic_b;
  const F k00 = p.conic_a * g.conic_a + p.conic_b * half_b, k01 = p.conic_a * half_b + p.conic_b * g.conic_c;
  const F k10 = p.conic_b * g.conic_a + p.conic_c * half_b, k11 = p.conic_b * half_b + p.conic_c * g.conic_c;
  F d_a = -(k00 * p.conic_a + k01 * p.conic_b);
  F d_b = -2.0f * (k00 * p.conic_b + k01 * p.conic_c);
  F d_c = -(k10 * p.conic_b + k11 * p.conic_c);
  // Compensation sqrt(det_raw / det).
  const F inverse = 1.0f / t.determinant;
  const F ratio = t.determinant_raw * inverse;
  const F d_ratio = select<F>(ratio > kCompensationFloor, 0.5f * g.compensation / p.compensation, F{});
  const F d_raw = d_ratio * inverse, d_full = -d_ratio * ratio * inverse;
  d_a += d_raw * (p.cov_c - kDilation) + d_full * p.cov_c;
  d_c += d_raw * (p.cov_a - kDilation) + d_full * p.cov_a;
  d_b -= 2.0f * p.cov_b * (d_raw + d_full);

  const F focal_x = camera.fx * t.inverse_z, focal_y = camera.fy * t.inverse_z;
  const Vector3<F> t0 = focal_x * t.edge_x, t1 = focal_y * t.edge_y;
  const Vector3<F> d_t0 = (2.0f * d_a) * t0 + d_b * t1, d_t1 = (2.0f * d_c) * t1 + d_b * t0;
  const F d_focal_x = dot(d_t0, t.edge_x), d_focal_y = dot(d_t1, t.edge_y);
  Matrix3<F> d_axes;
  d_axes.row[0] = focal_x * d_t0;
  d_axes.row[1] = focal_y * d_t1;
  d_axes.row[2] = (-t.slope_x) * d_axes.row[0] - t.slope_y * d_axes.row[1];
  F d_x = camera.fx * g.u, d_y = camera.fy * g.v;  // with respect to x/z and y/z
  d_x -= select<F>(t.inside_x, dot(d_axes.row[0], t.axes.row[2]), F{});
  d_y -= select<F>(t.inside_y, dot(d_axes.row[1], t.axes.row[2]), F{});

  const F x = p.point.x * t.inverse_z, y = p.point.y * t.inverse_z;
  const F d_inverse_z = camera.fx * d_focal_x + camera.fy * d_focal_y;
  const Vector3<F> d_point = {d_x * t.inverse_z, d_y * t.inverse_z,
                              g.depth - (d_x * x + d_y * y + d_inverse_z * t.inverse_z) * t.inverse_z};

  GaussianGradient<F> out;
  out.mean = rotate_back(camera.rotation, d_point);
  Matrix3<F> d_rotation = rotate_back(camera.rotation, d_axes);  // of R diag(s), then of R
  if (kCamera) {
    for (int i = 0; i < 3; ++i)
      for (int k = 0; k < 3; ++k) {
        const Vector3<F>& r = t.rotation.row[k];
        camera_gradient->rotation[3 * i + k] +=
            dot(d_axes.row[i], Vector3<F>{r.x * scale.x, r.y * scale.y, r.z * scale.z});
      }
    add_outer(camera_gradient->rotation, d_point, mean);
    camera_gradient->translation[0] += d_point.x;
    camera_gradient->translation[1] += d_point.y;
    camera_gradient->translation[2] += d_point.z;
    camera_gradient->fx += g.u * x + d_focal_x * t.inverse_z;
    camera_gradient->fy += g.v * y + d_focal_y * t.inverse_z;
    camera_gradient->cx += g.u;
    camera_gradient->cy += g.v;
  }
  out.scale = {F{}, F{}, F{}};
  for (int j = 0; j < 3; ++j) {
    Vector3<F>& d = d_rotation.row[j];
    const Vector3<F>& r = t.rotation.row[j];
    out.scale = out.scale + Vector3<F>{r.x * d.x, r.y * d.y, r.z * d.z};
    d = {d.x * scale.x, d.y * scale.y, d.z * scale.z};
  }
  if (kNormal) {
    Vector3<F> axis;
    camera_normal(camera, scale, p.point, t.rotation, axis);
    const Vector3<F> d_world = rotate_back(camera.rotation, g.normal);
    d_rotation.row[0] = d_rotation.row[0] + d_world.x * axis;
    d_rotation.row[1] = d_rotation.row[1] + d_world.y * axis;
    d_rotation.row[2] = d_rotation.row[2] + d_world.z * axis;
    if (kCamera)
      add_outer(camera_gradient->rotation, g.normal,
                Vector3<F>{dot(t.rotation.row[0], axis), dot(t.rotation.row[1], axis), dot(t.rotation.row[2], axis)});
  }
  out.quaternion = rotation_adjoint(quaternion, d_rotation);
  return out;
}

}  // namespace recon::math
