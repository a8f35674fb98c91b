// Hard tanh (Collobert 2004): f(x) = min(max(x, -1), 1), f' = 1 where |y| < 1, else 0. NaN stays NaN.
#pragma once
#include "base/math.h"

namespace steep::STEEP_ISA::activations {

struct HardTanh {
  static constexpr const char* kName = "hard_tanh";
  static constexpr bool kReadsInput = false;
  static constexpr bool kReluLike = false;

  template <class T>
  STEEP_HD static T value(T x, T) {
    return x < T(-1) ? T(-1) : x > T(1) ? T(1) : x;
  }
  template <class T>
  STEEP_HD static T grad(T dy, T y, T) {
    return abs_(y) < T(1) ? dy : T(0);
  }
};

}  // namespace steep::STEEP_ISA::activations
