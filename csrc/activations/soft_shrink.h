// Soft shrinkage (Donoho 1995): f(x) = sign(x)*max(|x| - alpha, 0), f' = 1 where y is not 0, else 0.
// alpha is at least 0. NaN stays NaN.
#pragma once
#include "base/math.h"

namespace steep::STEEP_ISA::activations {

struct SoftShrink {
  static constexpr const char* kName = "soft_shrink";
  static constexpr bool kReadsInput = false;
  static constexpr bool kReluLike = false;

  template <class T>
  STEEP_HD static T value(T x, T alpha) {
    return x > alpha ? x - alpha : x < -alpha ? x + alpha : x * T(0);
  }
  template <class T>
  STEEP_HD static T grad(T dy, T y, T) {
    return y != T(0) ? dy : T(0);
  }
};

}  // namespace steep::STEEP_ISA::activations
