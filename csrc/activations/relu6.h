// ReLU6 (Krizhevsky 2010): f(x) = min(max(x, 0), 6), f' = 1 where 0 < y < 6, else 0. NaN stays NaN.
#pragma once
#include "base/math.h"

namespace steep::STEEP_ISA::activations {

struct ReLU6 {
  static constexpr const char* kName = "relu6";
  static constexpr bool kReadsInput = false;
  static constexpr bool kReluLike = true;

  template <class T>
  STEEP_HD static T value(T x, T) {
    return x < T(0) ? T(0) : x > T(6) ? T(6) : x;
  }
  template <class T>
  STEEP_HD static T grad(T dy, T y, T) {
    return y > T(0) && y < T(6) ? dy : T(0);
  }
};

}  // namespace steep::STEEP_ISA::activations
