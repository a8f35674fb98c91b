// Squared error: (z - t)^2, gradient 2(z - t).
#pragma once
#include "base/math.h"

namespace steep::STEEP_ISA::losses {

struct MSE {
  static constexpr const char* kName = "mse";
  static constexpr bool kClassification = false;
  static constexpr bool kPerColumn = true;

  template <class T>
  STEEP_HD static T value(T z, T t, T) {
    const T e = z - t;
    return e * e;
  }
  template <class T>
  STEEP_HD static T grad(T z, T t, T) {
    return T(2) * (z - t);
  }
};

}  // namespace steep::STEEP_ISA::losses
