// Leaky ReLU: f(x) = x where x > 0, else alpha*x. From x: y tells the branch only for alpha > 0.
#pragma once
#include "base/math.h"

namespace steep::STEEP_ISA::activations {

struct LeakyReLU {
  static constexpr const char* kName = "leaky_relu";
  static constexpr bool kReadsInput = true;
  static constexpr bool kReluLike = true;

  template <class T>
  STEEP_HD static T value(T x, T alpha) {
    return x > T(0) ? x : alpha * x;
  }
  template <class T>
  STEEP_HD static T grad(T dy, T x, T alpha) {
    return x > T(0) ? dy : alpha * dy;
  }
};

}  // namespace steep::STEEP_ISA::activations
