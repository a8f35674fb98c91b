// Sigmoid: f(x) = 1 / (1 + e^-x), f' = y*(1 - y).
#pragma once
#include "base/math.h"

namespace steep::STEEP_ISA::activations {

struct Sigmoid {
  static constexpr const char* kName = "sigmoid";
  static constexpr bool kReadsInput = false;
  static constexpr bool kReluLike = false;

  template <class T>
  STEEP_HD static T value(T x, T) {
    return logistic_(x);
  }
  template <class T>
  STEEP_HD static T grad(T dy, T y, T) {
    return dy * (y * (T(1) - y));
  }
};

}  // namespace steep::STEEP_ISA::activations
