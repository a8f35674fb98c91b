// Square: f(x) = x^2, f' = 2x.
#pragma once
#include "base/math.h"

namespace steep::STEEP_ISA::activations {

struct Square {
  static constexpr const char* kName = "square";
  static constexpr bool kReadsInput = true;
  static constexpr bool kReluLike = false;

  template <class T>
  STEEP_HD static T value(T x, T) {
    return x * x;
  }
  template <class T>
  STEEP_HD static T grad(T dy, T x, T) {
    return dy * (x + x);
  }
};

}  // namespace steep::STEEP_ISA::activations
