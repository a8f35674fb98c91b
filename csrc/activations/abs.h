// Absolute value: f' = sign(x), 0 at 0.
#pragma once
#include "base/math.h"

namespace steep::STEEP_ISA::activations {

struct Abs {
  static constexpr const char* kName = "abs";
  static constexpr bool kReadsInput = true;
  static constexpr bool kReluLike = false;

  template <class T>
  STEEP_HD static T value(T x, T) {
    return abs_(x);
  }
  template <class T>
  STEEP_HD static T grad(T dy, T x, T) {
    return dy * sign_(x);
  }
};

}  // namespace steep::STEEP_ISA::activations
