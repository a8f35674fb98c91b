// SELU (Klambauer et al. 2017): f(x) = s*x where x > 0, else s*a*(e^x - 1); f' = s, else y + s*a.
// With these s and a, mean 0 and variance 1 are a fixed point from layer to layer.
#pragma once
#include "base/math.h"

namespace steep::STEEP_ISA::activations {

struct SELU {
  static constexpr const char* kName = "selu";
  static constexpr bool kReadsInput = false;
  static constexpr bool kReluLike = false;
  static constexpr double kScale = 1.0507009873554804934193349852946;
  static constexpr double kDepth = kScale * 1.6732632423543772848170429916717;  // s*a

  template <class T>
  STEEP_HD static T value(T x, T) {
    return x > T(0) ? T(kScale) * x : T(kDepth) * expm1_(x > T(0) ? T(0) : x);
  }
  template <class T>
  STEEP_HD static T grad(T dy, T y, T) {
    return y > T(0) ? dy * T(kScale) : dy * (y + T(kDepth));
  }
};

}  // namespace steep::STEEP_ISA::activations
