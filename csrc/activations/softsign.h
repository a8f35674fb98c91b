// Softsign (Turian et al. 2009): f(x) = x/(1 + |x|), f' = 1/(1 + |x|)^2: from x, 1 - |y| would cancel.
#pragma once
#include "base/math.h"

namespace steep::STEEP_ISA::activations {

struct Softsign {
  static constexpr const char* kName = "softsign";
  static constexpr bool kReadsInput = true;
  static constexpr bool kReluLike = false;

  template <class T>
  STEEP_HD static T value(T x, T) {
    return x / (T(1) + abs_(x));
  }
  template <class T>
  STEEP_HD static T grad(T dy, T x, T) {
    const T part = T(1) / (T(1) + abs_(x));
    return dy * (part * part);
  }
};

}  // namespace steep::STEEP_ISA::activations
