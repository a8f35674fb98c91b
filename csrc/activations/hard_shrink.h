// Hard shrinkage (Donoho & Johnstone 1994): f(x) = x where |x| > alpha, else 0; f' = 1 or 0 likewise.
// alpha is at least 0. NaN stays NaN.
#pragma once
#include "base/math.h"

namespace steep::STEEP_ISA::activations {

struct HardShrink {
  static constexpr const char* kName = "hard_shrink";
  static constexpr bool kReadsInput = false;
  static constexpr bool kReluLike = false;

  template <class T>
  STEEP_HD static T value(T x, T alpha) {
    return abs_(x) > alpha ? x : x * T(0);
  }
  template <class T>
  STEEP_HD static T grad(T dy, T y, T) {
    return y != T(0) ? dy : T(0);
  }
};

}  // namespace steep::STEEP_ISA::activations
