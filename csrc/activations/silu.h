// SiLU, swish: f(x) = x*s(x), f' = s + x*s*(1 - s), s the sigmoid.
#pragma once
#include "base/math.h"

namespace steep::STEEP_ISA::activations {

struct SiLU {
  static constexpr const char* kName = "silu";
  static constexpr bool kReadsInput = true;
  static constexpr bool kReluLike = true;

  template <class T>
  STEEP_HD static T value(T x, T) {
    return x * logistic_(x);
  }
  template <class T>
  STEEP_HD static T grad(T dy, T x, T) {
    const T s = logistic_(x);
    return dy * fma_(x * s, T(1) - s, s);
  }
};

}  // namespace steep::STEEP_ISA::activations
