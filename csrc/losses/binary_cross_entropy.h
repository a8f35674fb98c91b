// Binary cross entropy from the logit z: max(z, 0) - z*t + log(1 + e^-abs(z)),
//   gradient sigmoid(z) - t.
// Written in terms that do not cancel: far from 0 both are tiny where t agrees.
#pragma once
#include "base/math.h"

namespace steep::STEEP_ISA::losses {

struct BinaryCrossEntropy {
  static constexpr const char* kName = "binary_cross_entropy";
  static constexpr bool kClassification = true;
  static constexpr bool kPerColumn = true;

  template <class T>
  STEEP_HD static T value(T z, T t, T) {
    const T away = z > T(0) ? z * (T(1) - t) : -z * t;
    return away + log1p_unit(exp_down(-abs_(z)));
  }
  template <class T>
  STEEP_HD static T grad(T z, T t, T) {
    const T tail = logistic_(z > T(0) ? -z : z);
    return z > T(0) ? (T(1) - t) - tail : tail - t;
  }
};

}  // namespace steep::STEEP_ISA::losses
