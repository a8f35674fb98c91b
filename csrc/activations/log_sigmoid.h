// Log of the sigmoid: f(x) = -log(1 + e^-x), f' = 1/(1 + e^x).
#pragma once
#include "base/math.h"

namespace steep::STEEP_ISA::activations {

struct LogSigmoid {
  static constexpr const char* kName = "log_sigmoid";
  static constexpr bool kReadsInput = true;
  static constexpr bool kReluLike = false;

  template <class T>
  STEEP_HD static T value(T x, T) {
    return -softplus_(-x);
  }
  template <class T>
  STEEP_HD static T grad(T dy, T x, T) {
    return dy * logistic_(-x);
  }
};

}  // namespace steep::STEEP_ISA::activations
