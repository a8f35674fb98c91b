// Absolute error: abs(z - t), gradient sign(z - t), 0 at 0.
#pragma once
#include "base/math.h"

namespace steep::STEEP_ISA::losses {

struct MAE {
  static constexpr const char* kName = "mae";
  static constexpr bool kClassification = false;
  static constexpr bool kPerColumn = true;

  template <class T>
  STEEP_HD static T value(T z, T t, T) {
    return abs_(z - t);
  }
  template <class T>
  STEEP_HD static T grad(T z, T t, T) {
    return sign_(z - t);
  }
};

}  // namespace steep::STEEP_ISA::losses
