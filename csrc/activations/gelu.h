// GELU (Hendrycks & Gimpel 2016), exact: f(x) = x*P(x), f' = P(x) + x*p(x).
// P and p are the normal distribution and its density.
#pragma once
#include "base/math.h"

namespace steep::STEEP_ISA::activations {

struct GELU {
  static constexpr const char* kName = "gelu";
  static constexpr bool kReadsInput = true;
  static constexpr bool kReluLike = true;

  template <class T>
  STEEP_HD static T value(T x, T) {
    return x * normal_(x).cdf;
  }
  template <class T>
  STEEP_HD static T grad(T dy, T x, T) {
    const Normal<T> n = normal_(x);
    return dy * fma_(x, n.density, n.cdf);
  }
};

}  // namespace steep::STEEP_ISA::activations
