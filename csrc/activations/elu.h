// ELU (Clevert et al. 2016): f(x) = x where x > 0, else alpha*(e^x - 1); f' = y + alpha there.
// alpha is at least 0.
#pragma once
#include "base/math.h"

namespace steep::STEEP_ISA::activations {

struct ELU {
  static constexpr const char* kName = "elu";
  static constexpr bool kReadsInput = false;
  static constexpr bool kReluLike = true;

  template <class T>
  STEEP_HD static T value(T x, T alpha) {
    return x > T(0) ? x : alpha * expm1_(x > T(0) ? T(0) : x);
  }
  template <class T>
  STEEP_HD static T grad(T dy, T y, T alpha) {
    return y > T(0) ? dy : dy * (y + alpha);
  }
};

}  // namespace steep::STEEP_ISA::activations
