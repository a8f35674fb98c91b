// Linear: f(x) = x, f' = 1.
#pragma once
#include "base/math.h"

namespace steep::STEEP_ISA::activations {

struct Linear {
  static constexpr const char* kName = "linear";
  static constexpr bool kReadsInput = false;
  static constexpr bool kReluLike = false;

  template <class T>
  STEEP_HD static T value(T x, T) {
    return x;
  }
  template <class T>
  STEEP_HD static T grad(T dy, T, T) {
    return dy;
  }
};

}  // namespace steep::STEEP_ISA::activations
