// Sine: f(x) = sin(x), f' = cos(x).
#pragma once
#include "base/math.h"

namespace steep::STEEP_ISA::activations {

struct Sin {
  static constexpr const char* kName = "sin";
  static constexpr bool kReadsInput = true;
  static constexpr bool kReluLike = false;

  template <class T>
  STEEP_HD static T value(T x, T) {
    return sin_(x);
  }
  template <class T>
  STEEP_HD static T grad(T dy, T x, T) {
    return dy * cos_(x);
  }
};

}  // namespace steep::STEEP_ISA::activations
