// Three-vectors and 3x3 matrices (row-major) of a scalar or pack F; S is the camera's scalar, F or the pack's element.
#pragma once

#include "math/host_device.h"

namespace recon::math {

template <class F>
struct Vector3 {
  F x, y, z;
};

template <class F>
RECON_HD Vector3<F> operator+(const Vector3<F>& a, const Vector3<F>& b) {
  return {a.x + b.x, a.y + b.y, a.z + b.z};
}
template <class F>
RECON_HD Vector3<F> operator-(const Vector3<F>& a, const Vector3<F>& b) {
  return {a.x - b.x, a.y - b.y, a.z - b.z};
}
template <class F, class S>
RECON_HD Vector3<F> operator*(S factor, const Vector3<F>& a) {
  return {factor * a.x, factor * a.y, factor * a.z};
}
template <class F>
RECON_HD F dot(const Vector3<F>& a, const Vector3<F>& b) {
  return a.x * b.x + a.y * b.y + a.z * b.z;
}
template <class F>
RECON_HD Vector3<F> cross(const Vector3<F>& a, const Vector3<F>& b) {
  return {a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x};
}

// Three rows.
template <class F>
struct Matrix3 {
  Vector3<F> row[3];
};

template <class F>
RECON_HD Vector3<F> column(const Matrix3<F>& m, int k) {
  return k == 0   ? Vector3<F>{m.row[0].x, m.row[1].x, m.row[2].x}
         : k == 1 ? Vector3<F>{m.row[0].y, m.row[1].y, m.row[2].y}
                  : Vector3<F>{m.row[0].z, m.row[1].z, m.row[2].z};
}

// W v and transpose(W) v, W[9] row-major.
template <class F, class S>
RECON_HD Vector3<F> rotate(const S* W, const Vector3<F>& v) {
  return {W[0] * v.x + W[1] * v.y + W[2] * v.z, W[3] * v.x + W[4] * v.y + W[5] * v.z,
          W[6] * v.x + W[7] * v.y + W[8] * v.z};
}
template <class F, class S>
RECON_HD Vector3<F> rotate_back(const S* W, const Vector3<F>& v) {
  return {W[0] * v.x + W[3] * v.y + W[6] * v.z, W[1] * v.x + W[4] * v.y + W[7] * v.z,
          W[2] * v.x + W[5] * v.y + W[8] * v.z};
}

// W M and transpose(W) M.
template <class F, class S>
RECON_HD Matrix3<F> rotate(const S* W, const Matrix3<F>& m) {
  Matrix3<F> out;
  for (int i = 0; i < 3; ++i)
    out.row[i] = W[3 * i] * m.row[0] + W[3 * i + 1] * m.row[1] + W[3 * i + 2] * m.row[2];
  return out;
}
template <class F, class S>
RECON_HD Matrix3<F> rotate_back(const S* W, const Matrix3<F>& m) {
  Matrix3<F> out;
  for (int i = 0; i < 3; ++i) out.row[i] = W[i] * m.row[0] + W[3 + i] * m.row[1] + W[6 + i] * m.row[2];
  return out;
}

}  // namespace recon::math
