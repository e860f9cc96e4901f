// Real spherical harmonics of degree 0 to 3 in the sign and order that 3DGS files use (Kerbl et al. 2023; Plenoxels).
#pragma once

#include "math/vector.h"

namespace recon::math {

constexpr float kSh0 = 0.28209479177387814f;
constexpr float kSh1 = 0.4886025119029199f;
// Functions, since device code cannot read a host array, constant or not.
RECON_HD constexpr float sh2(int k) {
  constexpr float values[3] = {1.0925484305920792f, 0.31539156525252005f, 0.5462742152960396f};
  return values[k];
}
RECON_HD constexpr float sh3(int k) {
  constexpr float values[5] = {0.5900435899266435f, 2.890611442640554f, 0.4570457994644658f, 0.3731763325901154f,
                               1.445305721320277f};
  return values[k];
}

RECON_HD int sh_bases(int degree) { return (degree + 1) * (degree + 1); }

// basis[k] for k < (degree + 1)^2; d is a unit vector.
template <class F>
RECON_HD void sh_basis(int degree, const Vector3<F>& d, F* basis) {
  basis[0] = F{} + kSh0;
  if (degree < 1) return;
  basis[1] = -kSh1 * d.y;
  basis[2] = kSh1 * d.z;
  basis[3] = -kSh1 * d.x;
  if (degree < 2) return;
  const F xx = d.x * d.x, yy = d.y * d.y, zz = d.z * d.z;
  basis[4] = sh2(0) * d.x * d.y;
  basis[5] = -sh2(0) * d.y * d.z;
  basis[6] = sh2(1) * (2.0f * zz - xx - yy);
  basis[7] = -sh2(0) * d.x * d.z;
  basis[8] = sh2(2) * (xx - yy);
  if (degree < 3) return;
  basis[9] = -sh3(0) * d.y * (3.0f * xx - yy);
  basis[10] = sh3(1) * d.x * d.y * d.z;
  basis[11] = -sh3(2) * d.y * (4.0f * zz - xx - yy);
  basis[12] = sh3(3) * d.z * (2.0f * zz - 3.0f * xx - 3.0f * yy);
  basis[13] = -sh3(2) * d.x * (4.0f * zz - xx - yy);
  basis[14] = sh3(4) * d.z * (xx - yy);
  basis[15] = -sh3(0) * d.x * (xx - 3.0f * yy);
}

// Gradient with respect to d (taken as three free numbers), from g[k] = dL/dbasis[k].
template <class F>
RECON_HD Vector3<F> sh_basis_adjoint(int degree, const Vector3<F>& d, const F* g) {
  Vector3<F> out = {F{}, F{}, F{}};
  if (degree < 1) return out;
  out = {-kSh1 * g[3], -kSh1 * g[1], kSh1 * g[2]};
  if (degree < 2) return out;
  const F x = d.x, y = d.y, z = d.z;
  out.x += sh2(0) * (y * g[4] - z * g[7]) + 2.0f * x * (sh2(2) * g[8] - sh2(1) * g[6]);
  out.y += sh2(0) * (x * g[4] - z * g[5]) - 2.0f * y * (sh2(2) * g[8] + sh2(1) * g[6]);
  out.z += -sh2(0) * (y * g[5] + x * g[7]) + 4.0f * sh2(1) * z * g[6];
  if (degree < 3) return out;
  const F xx = x * x, yy = y * y, zz = z * z, xy = x * y, xz = x * z, yz = y * z;
  out.x += -sh3(0) * (6.0f * xy * g[9] + 3.0f * (xx - yy) * g[15]) + sh3(1) * yz * g[10] +
           sh3(2) * (2.0f * xy * g[11] - (4.0f * zz - 3.0f * xx - yy) * g[13]) - 6.0f * sh3(3) * xz * g[12] +
           2.0f * sh3(4) * xz * g[14];
  out.y += -sh3(0) * (3.0f * (xx - yy) * g[9] - 6.0f * xy * g[15]) + sh3(1) * xz * g[10] -
           sh3(2) * ((4.0f * zz - xx - 3.0f * yy) * g[11] - 2.0f * xy * g[13]) - 6.0f * sh3(3) * yz * g[12] -
           2.0f * sh3(4) * yz * g[14];
  out.z += sh3(1) * xy * g[10] - 8.0f * sh3(2) * (yz * g[11] + xz * g[13]) +
           3.0f * sh3(3) * (2.0f * zz - xx - yy) * g[12] + sh3(4) * (xx - yy) * g[14];
  return out;
}

// Unit direction from the camera's centre to a point, and the adjoint of the normalisation (gradient with respect to
// the point; the centre gets its negative).
template <class F, class S>
RECON_HD Vector3<F> view_direction(const S* center, const Vector3<F>& point, F& inverse_distance) {
  const Vector3<F> v = {point.x - center[0], point.y - center[1], point.z - center[2]};
  inverse_distance = 1.0f / square_root<F>(dot(v, v));
  return inverse_distance * v;
}
template <class F>
RECON_HD Vector3<F> view_direction_adjoint(const Vector3<F>& direction, F inverse_distance, const Vector3<F>& g) {
  const F along = dot(direction, g);
  return inverse_distance * (g - along * direction);
}

}  // namespace recon::math
