// Binary cross entropy from the logit z: max(z, 0) - z*t + log(1 + e^-abs(z)), gradient sigmoid(z)
// - t.
#pragma once
#include "base/math.h"

namespace steep::STEEP_ISA::losses {

struct BinaryCrossEntropy {
  static constexpr const char* kName = "binary_cross_entropy";
  static constexpr bool kClassification = true;
  static constexpr bool kPerColumn = true;

  template <class T>
  STEEP_HD static T value(T z, T t, T) {
    return fma_(-z, t, softplus_(z));
  }
  template <class T>
  STEEP_HD static T grad(T z, T t, T) {
    return logistic_(z) - t;
  }
};

}  // namespace steep::STEEP_ISA::losses
