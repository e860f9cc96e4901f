// Rotation matrix of a quaternion (w, x, y, z) of any positive length, and the adjoint.
#pragma once

#include "math/vector.h"

namespace recon::math {

template <class F>
struct Quaternion {
  F w, x, y, z;
};

template <class F>
RECON_HD F inverse_length(const Quaternion<F>& q) {
  return F{} + 1.0f / square_root<F>(q.w * q.w + q.x * q.x + q.y * q.y + q.z * q.z);
}

template <class F>
RECON_HD Matrix3<F> rotation_of_unit(const Quaternion<F>& q) {
  const F xx = q.x * q.x, yy = q.y * q.y, zz = q.z * q.z;
  const F xy = q.x * q.y, xz = q.x * q.z, yz = q.y * q.z;
  const F wx = q.w * q.x, wy = q.w * q.y, wz = q.w * q.z;
  return {{{1.0f - 2.0f * (yy + zz), 2.0f * (xy - wz), 2.0f * (xz + wy)},
           {2.0f * (xy + wz), 1.0f - 2.0f * (xx + zz), 2.0f * (yz - wx)},
           {2.0f * (xz - wy), 2.0f * (yz + wx), 1.0f - 2.0f * (xx + yy)}}};
}

template <class F>
RECON_HD Quaternion<F> normalized(const Quaternion<F>& q) {
  const F s = inverse_length(q);
  return {q.w * s, q.x * s, q.y * s, q.z * s};
}

// Gradient with respect to the unnormalised quaternion, from D = dL/dR.
template <class F>
RECON_HD Quaternion<F> rotation_adjoint(const Quaternion<F>& raw, const Matrix3<F>& D) {
  const F s = inverse_length(raw);
  const F w = raw.w * s, x = raw.x * s, y = raw.y * s, z = raw.z * s;
  const Vector3<F>&a = D.row[0], &b = D.row[1], &c = D.row[2];
  const Quaternion<F> g = {
      2.0f * (x * (c.y - b.z) + y * (a.z - c.x) + z * (b.x - a.y)),
      2.0f * (w * (c.y - b.z) + y * (a.y + b.x) + z * (a.z + c.x) - 2.0f * x * (b.y + c.z)),
      2.0f * (w * (a.z - c.x) + x * (a.y + b.x) + z * (b.z + c.y) - 2.0f * y * (a.x + c.z)),
      2.0f * (w * (b.x - a.y) + x * (a.z + c.x) + y * (b.z + c.y) - 2.0f * z * (a.x + b.y)),
  };
  const F along = w * g.w + x * g.x + y * g.y + z * g.z;
  return {s * (g.w - w * along), s * (g.x - x * along), s * (g.y - y * along), s * (g.z - z * along)};
}

}  // namespace recon::math
