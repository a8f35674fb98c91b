// Hard sigmoid (Howard et al. 2019): f(x) = relu6(x + 3)/6, f' = 1/6 where 0 < y < 1, else 0.
#pragma once
#include "base/math.h"

namespace steep::STEEP_ISA::activations {

struct HardSigmoid {
  static constexpr const char* kName = "hard_sigmoid";
  static constexpr bool kReadsInput = false;
  static constexpr bool kReluLike = false;

  template <class T>
  STEEP_HD static T value(T x, T) {
    return x < T(-3) ? T(0) : x > T(3) ? T(1) : (x + T(3)) / T(6);
  }
  template <class T>
  STEEP_HD static T grad(T dy, T y, T) {
    return y > T(0) && y < T(1) ? dy / T(6) : T(0);
  }
};

}  // namespace steep::STEEP_ISA::activations
