// Exponential: f' = y.
#pragma once
#include "base/math.h"

namespace steep::STEEP_ISA::activations {

struct Exp {
  static constexpr const char* kName = "exp";
  static constexpr bool kReadsInput = false;
  static constexpr bool kReluLike = false;

  template <class T>
  STEEP_HD static T value(T x, T) {
    return exp_(x);
  }
  template <class T>
  STEEP_HD static T grad(T dy, T y, T) {
    return dy * y;
  }
};

}  // namespace steep::STEEP_ISA::activations
