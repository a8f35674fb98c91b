// Natural logarithm: f' = 1/x. Where dy is 0 so is dx, whatever x: padding holds x = 0.
#pragma once
#include "base/math.h"

namespace steep::STEEP_ISA::activations {

struct Log {
  static constexpr const char* kName = "log";
  static constexpr bool kReadsInput = true;
  static constexpr bool kReluLike = false;

  template <class T>
  STEEP_HD static T value(T x, T) {
    return log_(x);
  }
  template <class T>
  STEEP_HD static T grad(T dy, T x, T) {
    return dy == T(0) ? T(0) : dy / x;
  }
};

}  // namespace steep::STEEP_ISA::activations
