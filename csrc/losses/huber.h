// Huber (1964): e^2/2 where abs(e) <= delta, else delta*(abs(e) - delta/2), e = z - t;
//   gradient clamp(e, +-delta).
#pragma once
#include "base/math.h"

namespace steep::STEEP_ISA::losses {

struct Huber {
  static constexpr const char* kName = "huber";
  static constexpr bool kClassification = false;
  static constexpr bool kPerColumn = true;

  template <class T>
  STEEP_HD static T value(T z, T t, T delta) {
    const T e = abs_(z - t);
    return e <= delta ? T(0.5) * e * e : delta * (e - T(0.5) * delta);
  }
  template <class T>
  STEEP_HD static T grad(T z, T t, T delta) {
    const T e = z - t;
    const T low = e < -delta ? -delta : e;
    return low > delta ? delta : low;
  }
};

}  // namespace steep::STEEP_ISA::losses
