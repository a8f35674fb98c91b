// GELU by the hyperbolic tangent (Hendrycks & Gimpel 2016), as GPT-2 has it: f(x) = x*(1 + tanh(u))/2,
// u = sqrt(2/pi)*(x + 0.044715*x^3), f' = (1 + tanh(u))/2 + x*(1 - tanh(u)^2)*u'/2.
#pragma once
#include "base/math.h"

namespace steep::STEEP_ISA::activations {

struct GELUTanh {
  static constexpr const char* kName = "gelu_tanh";
  static constexpr bool kReadsInput = true;
  static constexpr bool kReluLike = true;
  static constexpr double kTwice = 1.5957691216057307, kCube = 0.044715;  // 2*sqrt(2/pi)

  // Further out one of both sigmoids of 2u is 0 in every format, and x^3 might not be finite.
  template <class T>
  STEEP_HD static T near(T x) {
    const T end = T(30);
    return x > end ? end : x < -end ? -end : x;
  }
  template <class T>
  STEEP_HD static T twice_u(T x) {
    return T(kTwice) * x * fma_(T(kCube) * x, x, T(1));
  }

  template <class T>
  STEEP_HD static T value(T x, T) {
    return x * logistic_(twice_u(near(x)));  // (1 + tanh(u))/2 without what cancels
  }
  template <class T>
  STEEP_HD static T grad(T dy, T x, T) {
    const T a = near(x), u = twice_u(a), s = logistic_(u);
    const T slope = T(kTwice) * fma_(T(3 * kCube) * a, a, T(1));
    return dy * fma_(a * slope, s * logistic_(-u), s);
  }
};

}  // namespace steep::STEEP_ISA::activations
