// Hard swish (Howard et al. 2019): f(x) = x*relu6(x + 3)/6; f' = x/3 + 1/2 where |x| < 3, else that of
// the side: 0 or 1.
#pragma once
#include "base/math.h"

namespace steep::STEEP_ISA::activations {

struct HardSwish {
  static constexpr const char* kName = "hard_swish";
  static constexpr bool kReadsInput = true;
  static constexpr bool kReluLike = true;

  template <class T>
  STEEP_HD static T value(T x, T) {
    return x < T(-3) ? T(0) : x > T(3) ? x : x * (x + T(3)) / T(6);
  }
  template <class T>
  STEEP_HD static T grad(T dy, T x, T) {
    return x <= T(-3) ? T(0) : x >= T(3) ? dy : dy * (x / T(3) + T(0.5));
  }
};

}  // namespace steep::STEEP_ISA::activations
