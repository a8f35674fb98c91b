// CELU (Barron 2017): f(x) = x where x > 0, else alpha*(e^(x/alpha) - 1); f' = 1 + y/alpha there.
// alpha is positive.
#pragma once
#include "base/math.h"

namespace steep::STEEP_ISA::activations {

struct CELU {
  static constexpr const char* kName = "celu";
  static constexpr bool kReadsInput = false;
  static constexpr bool kReluLike = true;

  template <class T>
  STEEP_HD static T value(T x, T alpha) {
    return x > T(0) ? x : alpha * expm1_((x > T(0) ? T(0) : x) / alpha);
  }
  template <class T>
  STEEP_HD static T grad(T dy, T y, T alpha) {
    return y > T(0) ? dy : dy * (T(1) + y / alpha);
  }
};

}  // namespace steep::STEEP_ISA::activations
