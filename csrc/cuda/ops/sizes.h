// Ops as plain data that kernels go by, of any kind of numbers.
#pragma once
#include "cuda/kernels/batch_matmul.h"
#include "cuda/kernels/feature_norm.h"
#include "cuda/kernels/images.h"
#include "ops/list.h"

namespace steep::cuda {

inline Norm norm_of(const ops::Normalizing& op) {
  return {static_cast<int>(op.pixels), static_cast<int>(op.channels), static_cast<int>(op.group),
          op.eps};
}
inline Featured featured_of(const ops::Featuring& op) {
  return {static_cast<int>(op.outer),
          static_cast<int>(op.pixels),
          static_cast<int>(op.parts),
          static_cast<int>(op.channels),
          op.eps,
          op.by_position(),
          op.centred};
}

inline Pairs pairs_of(const ops::BatchMatMul& op) {
  return {static_cast<int>(op.places),
          static_cast<int>(op.rows),
          static_cast<int>(op.depth),
          static_cast<int>(op.columns),
          op.turned_a,
          op.turned_b};
}

// Of floats or doubles.
template <class Near> Near neighbours_of(const ops::LocalNorm& op) {
  using Number = decltype(Near::alpha);
  const long reach = op.size / 2 < op.channels ? op.size / 2 : op.channels - 1;
  return {static_cast<int>(op.channels), static_cast<int>(reach), static_cast<Number>(op.alpha),
          static_cast<Number>(op.beta), static_cast<Number>(op.bias)};
}

inline Enlarged enlarged_of(const ops::Upsample& op) {
  return {static_cast<int>(op.height), static_cast<int>(op.width), static_cast<int>(op.channels),
          static_cast<int>(op.down), static_cast<int>(op.across)};
}

inline Frame frame_of(const ops::Pad& p) {
  Frame f{};
  for (int axis = 0; axis < 3; ++axis) {
    f.small[axis] = static_cast<int>(p.small[axis]);
    f.large[axis] = static_cast<int>(p.large[axis]);
  }
  f.before[0] = static_cast<int>(p.above);
  f.before[1] = static_cast<int>(p.left);
  f.before[2] = static_cast<int>(p.front);
  return f;
}

}  // namespace steep::cuda
