// Square root: f' = 1/(2y). Where dy is 0 so is dx, whatever y: padding holds y = 0.
#pragma once
#include "base/math.h"

namespace steep::STEEP_ISA::activations {

struct Sqrt {
  static constexpr const char* kName = "sqrt";
  static constexpr bool kReadsInput = false;
  static constexpr bool kReluLike = false;

  template <class T>
  STEEP_HD static T value(T x, T) {
    return sqrt_(x);
  }
  template <class T>
  STEEP_HD static T grad(T dy, T y, T) {
    return dy == T(0) ? T(0) : dy / (y + y);
  }
};

}  // namespace steep::STEEP_ISA::activations
