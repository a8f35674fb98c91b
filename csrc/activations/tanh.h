// Hyperbolic tangent: f' = (1 - y)*(1 + y).
#pragma once
#include "base/math.h"

namespace steep::STEEP_ISA::activations {

struct Tanh {
  static constexpr const char* kName = "tanh";
  static constexpr bool kReadsInput = false;
  static constexpr bool kReluLike = false;

  template <class T>
  STEEP_HD static T value(T x, T) {
    return tanh_(x);
  }
  template <class T>
  STEEP_HD static T grad(T dy, T y, T) {
    return dy * ((T(1) - y) * (T(1) + y));
  }
};

}  // namespace steep::STEEP_ISA::activations
