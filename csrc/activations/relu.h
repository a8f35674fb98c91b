// ReLU: f(x) = max(x, 0), f' = 1 where y > 0, else 0. NaN stays NaN.
#pragma once
#include "base/math.h"

namespace steep::STEEP_ISA::activations {

struct ReLU {
  static constexpr const char* kName = "relu";
  static constexpr bool kReadsInput = false;
  static constexpr bool kReluLike = true;

  template <class T>
  STEEP_HD static T value(T x, T) {
    return x < T(0) ? T(0) : x;
  }
  template <class T>
  STEEP_HD static T grad(T dy, T y, T) {
    return y > T(0) ? dy : T(0);
  }
};

}  // namespace steep::STEEP_ISA::activations
