// Cosine: f(x) = cos(x), f' = -sin(x).
#pragma once
#include "base/math.h"

namespace steep::STEEP_ISA::activations {

struct Cos {
  static constexpr const char* kName = "cos";
  static constexpr bool kReadsInput = true;
  static constexpr bool kReluLike = false;

  template <class T>
  STEEP_HD static T value(T x, T) {
    return cos_(x);
  }
  template <class T>
  STEEP_HD static T grad(T dy, T x, T) {
    return -(dy * sin_(x));
  }
};

}  // namespace steep::STEEP_ISA::activations
